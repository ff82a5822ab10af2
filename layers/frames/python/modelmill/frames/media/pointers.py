"""Cells that point to files: media and a table's cells in; the columns that point, and the file of each cell, out."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import takewhile
from pathlib import PurePosixPath

import pyarrow as pa

from modelmill.frames.media.files import Media, kind_of

_LOOKED_AT = 2_000
_HALF = 0.5


class Resolver:
    """Finds the file that a cell names: by path, by a part of one, by name alone, or by name without its end."""

    def __init__(self, media: Media, table: str = "") -> None:
        self._beside = PurePosixPath(table).parent.parts
        self._named: dict[str, list[PurePosixPath]] = defaultdict(list)
        folders = set()
        for file in media.files:
            path = PurePosixPath(file.name)
            folders.add(path.parent)
            self._named[path.name.lower()].append(path)
            self._named[path.stem.lower()].append(path)
        self._flat = len(folders) == 1

    def find(self, cell: str) -> str | None:
        """The file whose path ends most like the cell's; None if there is none, or no way to tell which of several."""
        parts = tuple(part for part in cell.strip().replace("\\", "/").split("/") if part not in ("", "."))
        if not parts:
            return None
        candidates = [path for path in self._named.get(parts[-1].lower(), ()) if self._may_be(path, parts)]
        if len(candidates) < 2:
            return str(candidates[0]) if candidates else None
        ranked = sorted(((self._likeness(path, parts), path) for path in candidates), reverse=True)
        return str(ranked[0][1]) if ranked[0][0] != ranked[1][0] else None

    def _may_be(self, path: PurePosixPath, parts: tuple[str, ...]) -> bool:
        """False if both tell folders, but others: test/1.png is not train/1.png. In one folder names are enough."""
        return self._flat or len(parts) == 1 or len(path.parts) == 1 or path.parts[-2] == parts[-2]

    def _likeness(self, path: PurePosixPath, parts: tuple[str, ...]) -> tuple[int, bool, int]:
        """Folders in common before the name; whether it has the same letters; folders in common with the table."""
        folders = path.parts[:-1]
        before = _common(reversed(folders), reversed(parts[:-1]))
        return before, parts[-1] in (path.name, path.stem), _common(folders, self._beside)


def _common(first: Iterable[str], second: Iterable[str]) -> int:
    """How many of the first items are the same."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))))


def pointers(media: Media, rows: pa.Table | pa.RecordBatch, table: str = "") -> tuple[str, ...]:
    """The columns of a table whose cells point to files of `media`, judged by some of its rows.

    Names with an end such as .png point if any file is there: the others are missing. Names without are tried only if
    no column has them, and must point all to different files, so that numbers are not taken for 1.png.
    """
    resolver = Resolver(media, table)
    cells = {name: _values(rows, name) for name in rows.schema.names}
    named = tuple(name for name, values in cells.items() if _points(values, resolver, media))
    return named or tuple(name for name, values in cells.items() if _is_key(values, resolver))


def _values(rows: pa.Table | pa.RecordBatch, column: str) -> list[str]:
    return [cell for cell in rows.slice(0, _LOOKED_AT).column(column).to_pylist() if cell]


def _points(values: list[str], resolver: Resolver, media: Media) -> bool:
    named = [value for value in values if kind_of(value.strip()) == media.kind]
    return len(named) > _HALF * len(values) and any(map(resolver.find, named))


def _is_key(values: list[str], resolver: Resolver) -> bool:
    found = [name for name in map(resolver.find, values) if name]
    return len(found) > _HALF * len(values) and len(set(found)) == len(found) and len(set(values)) == len(values)
