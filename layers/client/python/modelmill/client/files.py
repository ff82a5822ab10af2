"""What is to be uploaded: paths in; the files, with their names within the upload, and where to go on, out."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelmill.client.home import home
from modelmill.core.digest import digest_of
from modelmill.core.errors import ModelmillError

_FOLDER = "uploads"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine as it was when it was looked at; `name` is its path within the upload."""

    path: Path
    name: str
    size: int
    changed: int
    """When it was last written, in nanoseconds."""

    @classmethod
    def of(cls, path: Path, name: str) -> "LocalFile":
        """Raises ModelmillError (`no_file`)."""
        try:
            found = path.stat()
        except OSError as error:
            raise ModelmillError("no_file", f"{path} cannot be read: {error.strerror}") from error
        return cls(path, name, found.st_size, found.st_mtime_ns)

    def check(self) -> None:
        """Raises ModelmillError (`file_changed`) if it is another one by now: parts of two files are no file."""
        now = LocalFile.of(self.path, self.name)
        if now != self:
            raise ModelmillError("file_changed", f"{self.path} was changed while it was sent", hint="send it again")


def collect(paths: Sequence[Path]) -> list[LocalFile]:
    """Every file, also those in folders, but hidden ones. Raises ModelmillError: no_file, empty_folder.

    Names in a folder that is the only path begin below it; otherwise each path keeps its own last name.
    """
    found = []
    for path in paths:
        if not path.is_dir():
            found.append(LocalFile.of(path, path.name))
            continue
        base = path if len(paths) == 1 else path.parent
        inside = [LocalFile.of(file, file.relative_to(base).as_posix()) for file in _walk(path)]
        if not inside:
            raise ModelmillError("empty_folder", f"there are no files in {path}")
        found += inside
    return found


def _walk(folder: Path) -> list[Path]:
    files = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(root, name) for name in sorted(names) if not name.startswith(".")]
    return files


class Memory:
    """The id of the upload that these files were begun to be sent as, kept on disk until it is complete."""

    def __init__(self, target: str, dataset: str, recipe: str | None, files: Sequence[LocalFile]) -> None:
        """`target` is the URL of the API. Other bytes, another recipe or another place are another upload."""
        described = [[str(file.path.resolve()), file.name, file.size, file.changed] for file in files]
        self._path = home() / _FOLDER / f"{digest_of([target, dataset, recipe, described])[:32]}.json"

    def get(self) -> str | None:
        """The upload's id, or None."""
        try:
            document = json.loads(self._path.read_bytes())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return str(document["upload_id"])

    def keep(self, upload_id: str) -> None:
        """Remember it; raises ModelmillError (`no_home`)."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps({"upload_id": upload_id}), encoding="utf-8")
        except OSError as error:
            raise ModelmillError(
                "no_home",
                f"{self._path} cannot be written: {error.strerror}",
                hint="MODELMILL_HOME names a folder that can: an upload is resumed from what is kept there",
            ) from error

    def forget(self) -> None:
        """It is over."""
        self._path.unlink(missing_ok=True)
