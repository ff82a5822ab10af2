"""Model packages: a tenant and a digest in, a folder of verified files out, which is gone after its use.

The folder holds nothing but what the manifest names, and it is removed once a session exists: a model lives in
memory, and /tmp never fills up. A path and not bytes goes to onnxruntime because only then does it refuse external
tensor data outside the folder (for a model given as bytes it looks in the working directory).
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from modelmill.aws import objects
from modelmill.aws.settings import settings
from modelmill.core.errors import ModelmillError
from modelmill.core.limits import MIB
from modelmill.core.model.integrity import FILES, MANIFEST, TamperedPackage, check_file, read_manifest
from modelmill.core.names import package_prefix

ROOT = Path(tempfile.gettempdir()) / "modelmill"
MODEL = "model.onnx"
_PARALLEL = 4


class ModelTooLarge(ModelmillError):
    """The function's memory does not hold this model: a fault of the deployment (HTTP 507), not of the caller."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            "model_too_large",
            f"the model has {size} bytes",
            status=507,
            limit=limit,
            hint="give the predict function more memory",
        )


@contextmanager
def verified(tenant: str, digest: str, max_model_bytes: int) -> Iterator[Path]:
    """A folder with the package's files, every byte checked against `digest`.

    Raises TamperedPackage, ModelTooLarge (before the model is downloaded) or one of `modelmill.aws.clients.FAULTS`.
    """
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=ROOT))
    try:
        _download(settings().models_bucket, package_prefix(tenant, digest), digest, folder, max_model_bytes)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _download(bucket: str, prefix: str, digest: str, folder: Path, max_model_bytes: int) -> None:
    with ThreadPoolExecutor(_PARALLEL) as pool:
        size = pool.submit(objects.head, bucket, prefix + MODEL)
        try:
            files = read_manifest(objects.get(bucket, prefix + MANIFEST), digest)
            length = int(size.result()["ContentLength"])
        except FileNotFoundError:
            raise TamperedPackage("the package is not where it was registered") from None
        if missing := [name for name in FILES if name not in files]:
            raise TamperedPackage(f"the package has no {missing[0]}")
        if length > max_model_bytes:
            raise ModelTooLarge(length, max_model_bytes)
        jobs = [pool.submit(_fetch, bucket, prefix, name, sha256, folder) for name, sha256 in files.items()]
    for job in jobs:
        job.result()


def _fetch(bucket: str, prefix: str, name: str, sha256: str, folder: Path) -> None:
    path = folder / name
    try:
        objects.download(bucket, prefix + name, path)
    except FileNotFoundError:
        raise TamperedPackage(f"the package's {name} is missing") from None
    with path.open("rb") as file:
        check_file(name, sha256, iter(lambda: file.read(MIB), b""))


def _sweep() -> None:
    """Remove the folders of processes that are gone: a Lambda that timed out leaves its /tmp to the next process."""
    ROOT.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in ROOT.iterdir():
        pid = folder.name.partition("-")[0]
        if pid.isdecimal() and not _runs(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
