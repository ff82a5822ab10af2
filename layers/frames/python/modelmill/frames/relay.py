"""Where the steps of a run leave things to each other: S3 for functions and Spark, a folder on one machine."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Relay(Protocol):
    """Bytes and files by name. What is written again has the same bytes, so that a step can be run again."""

    def put(self, name: str, data: bytes) -> None:
        """Leave bytes."""

    def get(self, name: str) -> bytes:
        """What was left; raises FileNotFoundError."""

    def find(self, name: str) -> bytes | None:
        """What was left, or None."""

    def get_range(self, name: str, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`."""

    def put_file(self, name: str, path: Path) -> None:
        """Leave a file."""

    def get_file(self, name: str, path: Path) -> None:
        """Fetch what was left; raises FileNotFoundError."""

    def keep(self, name: str, path: Path) -> Path:
        """Leave a file, and say from where other steps can read it."""

    def place_of(self, path: Path) -> Any:
        """Where a file lies that all steps can read, as a JSON value."""

    def opened(self, place: Any) -> Path:
        """The inverse of `place_of`."""


@dataclass(frozen=True, slots=True)
class FolderRelay:
    """A folder that all processes of one machine see."""

    folder: Path

    def put(self, name: str, data: bytes) -> None:
        """Leave bytes."""
        self._path(name).write_bytes(data)

    def get(self, name: str) -> bytes:
        """What was left; raises FileNotFoundError."""
        return (self.folder / name).read_bytes()

    def find(self, name: str) -> bytes | None:
        """What was left, or None."""
        path = self.folder / name
        return path.read_bytes() if path.exists() else None

    def get_range(self, name: str, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`."""
        with (self.folder / name).open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def put_file(self, name: str, path: Path) -> None:
        """Leave a file."""
        shutil.copyfile(path, self._path(name))

    def get_file(self, name: str, path: Path) -> None:
        """Fetch what was left; raises FileNotFoundError."""
        shutil.copyfile(self.folder / name, path)

    def keep(self, name: str, path: Path) -> Path:
        """Leave a file, and say from where other steps can read it."""
        self.put_file(name, path)
        return self.folder / name

    def place_of(self, path: Path) -> Any:
        """Where a file lies, as a JSON value."""
        return str(path)

    def opened(self, place: Any) -> Path:
        """The inverse of `place_of`."""
        return Path(place)

    def _path(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
