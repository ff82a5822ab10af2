"""Zips that depend on their content alone: files in; sorted, undated, fixed-mode entries out. And what a zip weighs."""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes of a zip, packed and unpacked."""

    zipped: int
    unzipped: int

    @classmethod
    def of(cls, path: Path) -> "Weight":
        """The weight of a zip on disk."""
        with zipfile.ZipFile(path) as archive:
            return cls(path.stat().st_size, sum(entry.file_size for entry in archive.infolist()))


def append(path: Path, files: Iterable[tuple[str, Path]], level: int) -> None:
    """Add (name in the zip, file) pairs in the order of their names; makes the zip if there is none."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, file in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = _MODE
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes(), compresslevel=level)


def tree(folder: Path) -> list[tuple[str, Path]]:
    """(relative name, file) of every file under a folder, sorted, without bytecode caches; [] if there is no folder."""
    return sorted(
        (file.relative_to(folder).as_posix(), file)
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    )
