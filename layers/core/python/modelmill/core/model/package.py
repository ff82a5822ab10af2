"""The model package: one folder, content-addressed, verified before anything in it is used.

`MANIFEST.json` lists the sha256 of every other file; the sha256 of the manifest's canonical bytes is the package's
digest and its name. Nothing in a package depends on the clock, so equal inputs give an equal digest.
The checks themselves are in `integrity`, which needs no pydantic.
"""

from pydantic import BaseModel, ConfigDict

from modelmill.core.digest import digest_of
from modelmill.core.model.integrity import FILES, MANIFEST, TamperedPackage, check_file, check_manifest

__all__ = ["FILES", "MANIFEST", "Manifest", "TamperedPackage", "verify"]


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


def verify(manifest: Manifest, expected_digest: str, files: dict[str, bytes]) -> None:
    """Raise TamperedPackage unless the manifest has `expected_digest` and names exactly `files` with their digests."""
    digests = check_manifest(manifest.model_dump(mode="json"), expected_digest)
    if set(digests) != set(files):
        raise TamperedPackage("the package's files are not those of its manifest")
    for name, data in files.items():
        check_file(name, digests[name], data)
