"""Makes the CloudFormation templates for the local cloud: sources in, `cdk.out/` out, skipped while nothing changed."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from modelmill.local.connect import ACCOUNT, REGION
from modelmill.local.problems import LocalProblem

_SOURCES = ("cdk.json", "infra_cdk", "functions", "layers")
# Jobs run this code from where it is; it is in no function and no layer.
_NOT_DEPLOYED = ("layers/client", "layers/local", "layers/training")
_TIMEOUT_SECONDS = 600


def synthesised(repository: Path, home: Path) -> Path:
    """The up-to-date `cdk.out` of the repository under `home`; raises LocalProblem if it cannot be made."""
    out, stamp = home / "cdk.out", home / "cdk.out.sha256"
    wanted = sources_digest(repository)
    if (out / "manifest.json").is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return out
    stamp.unlink(missing_ok=True)
    _run(repository, ["infra_cdk/app.py", "--context", "target=local", "--output", str(out)])
    stamp.write_text(wanted, encoding="utf-8")
    return out


def sources_digest(repository: Path) -> str:
    """sha256 over the names and bytes of everything that is deployed, and over this Python's version."""
    digest = hashlib.sha256(sys.version.encode())
    for source in _SOURCES:
        path = repository / source
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            name = file.relative_to(repository).as_posix()
            if file.is_file() and "__pycache__" not in file.parts and not name.startswith(_NOT_DEPLOYED):
                digest.update(f"{name}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _run(repository: Path, command: list[str]) -> None:
    result = subprocess.run(  # noqa: S603 - our own scripts
        [sys.executable, *command],
        cwd=repository,
        env={**os.environ, "CDK_DEFAULT_ACCOUNT": ACCOUNT, "CDK_DEFAULT_REGION": REGION},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    if result.returncode:
        tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-20:])
        raise LocalProblem("synth_failed", f"python {' '.join(command)} failed:\n{tail}")
