"""The two programs that AWS runs around a function, from their PyPI wheels into `build/tools/`, checked by digest.

`aws-lambda-rie` (the Runtime Interface Emulator, a Linux binary) is part of the aws-sam-cli wheel; `awslambdaric` (the
runtime interface client) is installed into a folder of its own, so that nothing else of this machine comes with it.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
TOOLS = ROOT / "build" / "tools"
SAM_CLI = "aws-sam-cli==1.170.0"
RUNTIME_CLIENT = "awslambdaric==4.2.2"
PIP_SECONDS = 300
SHA256 = {
    "x86_64": "6b1e686e62ab2baf5759c412c4864276ef2a88b094fca53ec070637ccba9b9a5",
    "arm64": "ec2e5d09633d853834c008b1ef264bf834b258a94d551d2b2074966494b39a21",
}


def supported() -> bool:
    """True on Linux, for which the emulator is made."""
    return sys.platform == "linux"


def machine() -> str:
    """This machine's architecture in Lambda's words."""
    return {"aarch64": "arm64"}.get(platform.machine(), platform.machine())


def emulator() -> Path:
    """The Runtime Interface Emulator; raises ValueError if its bytes are not those that were pinned."""
    name = f"aws-lambda-rie-{machine()}"
    path = TOOLS / name
    if not path.exists():
        TOOLS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
            _pip("download", "--no-deps", "--only-binary=:all:", "--dest", folder, SAM_CLI)
            wheel = next(Path(folder).glob("*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                found = Path(archive.extract(f"samcli/local/rapid/{name}", folder))
            found.chmod(0o755)
            found.replace(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256[machine()]:
        path.unlink()
        raise ValueError(f"{name} of {SAM_CLI} has the digest {digest}, not {SHA256[machine()]}")
    return path


def runtime_client() -> Path:
    """A folder for PYTHONPATH that holds awslambdaric and what it needs, for this Python."""
    tag = f"{sys.implementation.name}{sys.version_info.major}{sys.version_info.minor}"
    path = TOOLS / f"{RUNTIME_CLIENT.replace('==', '-')}-{tag}"
    if not path.is_dir():
        TOOLS.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=TOOLS))
        _pip("install", "--only-binary=:all:", "--target", str(folder), RUNTIME_CLIENT)
        try:
            folder.rename(path)
        except OSError:  # another process was first
            shutil.rmtree(folder)
    return path


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments[:1], "--quiet", "--disable-pip-version-check", *arguments[1:]]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, check=True, timeout=PIP_SECONDS, env=environment)
