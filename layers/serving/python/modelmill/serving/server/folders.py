"""Package folders on a disk as a registry: their names are the models' names, each has one version, "1".

A folder is what the pipeline stores: the files and their MANIFEST.json, which must agree. There is nobody to say which
digest is right, as the registry does, so this shows damage, not malice: serve folders that you trust.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from modelmill.core.digest import digest_of
from modelmill.core.errors import ModelmillError
from modelmill.core.limits import MIB
from modelmill.core.model.integrity import FILES, MANIFEST, TamperedPackage, check_file, read_manifest
from modelmill.serving.binary import parse
from modelmill.serving.graph import model_in
from modelmill.serving.plane import AnyModel


class FolderRegistry:
    """The packages in `root` (or `root` itself, if it is one), for every tenant."""

    faults: tuple[type[Exception], ...] = (OSError,)

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def names(self) -> list[str]:
        """The models that are there now."""
        if (self._root / MANIFEST).is_file():
            return [self._root.name]
        return sorted(path.parent.name for path in self._root.glob(f"*/{MANIFEST}"))

    def route(self, _tenant: str, model: str) -> dict[str, Any] | None:
        """All traffic to the one version."""
        return {"route": {"weights": {"1": 1.0}}} if model in self.names() else None

    def version(self, _tenant: str, model: str, version: str) -> dict[str, Any] | None:
        """The digest of what is in the folder now."""
        if version != "1" or model not in self.names():
            return None
        manifest = parse((self._folder(model) / MANIFEST).read_bytes())
        return {"version": "1", "digest": digest_of(manifest)}

    def versions(self, tenant: str, model: str) -> list[dict[str, Any]]:
        """The one version."""
        record = self.version(tenant, model, "1")
        return [record] if record else []

    def load(self, _tenant: str, digest: str, max_bytes: int) -> AnyModel:
        """The model of the folder that has `digest`, from a private copy every byte of which was verified."""
        found = [name for name in self.names() if self.versions("", name)[0]["digest"] == digest]
        if not found:
            raise TamperedPackage("the package was changed while it was read")
        folder = self._folder(found[0])
        files = read_manifest((folder / MANIFEST).read_bytes(), digest)
        if missing := [name for name in FILES if not (folder / name).is_file() or name not in files]:
            raise TamperedPackage(f"the package has no {missing[0]}")
        if (size := (folder / "model.onnx").stat().st_size) > max_bytes:
            raise ModelmillError("model_too_large", f"the model has {size} bytes", status=507, limit=max_bytes)
        with tempfile.TemporaryDirectory(prefix="modelmill-") as copy:
            for name, sha256 in files.items():
                path = Path(shutil.copyfile(folder / name, Path(copy) / name))
                with path.open("rb") as file:
                    check_file(name, sha256, iter(lambda: file.read(MIB), b""))
            return model_in(Path(copy))

    def _folder(self, model: str) -> Path:
        return self._root if model == self._root.name and (self._root / MANIFEST).is_file() else self._root / model
