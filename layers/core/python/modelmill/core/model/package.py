"""The model package: one folder, content-addressed, verified before anything in it is used.

`MANIFEST.json` lists the sha256 of every other file; the sha256 of the manifest's canonical bytes is the package's
digest and its name. Nothing in a package depends on the clock, so equal inputs give an equal digest.
"""

import re

from modelmill.core.digest import digest_of, sha256
from modelmill.core.errors import ModelmillError
from pydantic import BaseModel, ConfigDict

MANIFEST = "MANIFEST.json"
FILES = (
    "model.onnx",
    "signature.json",
    "preprocess.json",
    "labels.json",
    "metrics.json",
    "profile.bin",
    "card.md",
)
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Manifest(BaseModel):
    """What a package is made of and where it came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int = 1
    files: dict[str, str]
    task: str
    dataset: str
    dataset_version: str
    candidate: str
    recipe: str
    """sha256 of the recipe's canonical JSON."""
    code_version: str
    parents: list[str] = []

    @property
    def digest(self) -> str:
        """The package's digest."""
        return digest_of(self.model_dump(mode="json"))


class TamperedPackage(ModelmillError):
    """The bytes are not those that were registered."""

    def __init__(self, message: str) -> None:
        super().__init__("tampered_package", message, status=409, hint="register the model again")


def verify(manifest: Manifest, expected_digest: str, files: dict[str, bytes]) -> None:
    """Raise TamperedPackage unless the manifest has `expected_digest` and names exactly `files` with their digests."""
    if manifest.digest != expected_digest:
        raise TamperedPackage(f"manifest digest {manifest.digest} is not {expected_digest}")
    if set(manifest.files) != set(files) or not all(_SAFE_NAME.fullmatch(name) for name in manifest.files):
        raise TamperedPackage("the package's files are not those of its manifest")
    for name, data in files.items():
        if sha256(data) != manifest.files[name]:
            raise TamperedPackage(f"{name} was changed after it was registered")
