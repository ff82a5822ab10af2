"""A file as its reader gives it, for the tests of readers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelmill.core.data.version import DataWarning
from modelmill.frames.read.file import read
from modelmill.frames.read.reading import BadRow, Reading
from modelmill.frames.read.unpack import unpack


@dataclass(frozen=True)
class Loaded:
    """A file as its reader gives it, with empty cells as None."""

    table: pa.Table
    bad: list[BadRow]
    warnings: list[DataWarning]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [{name: cell or None for name, cell in row.items()} for row in self.table.to_pylist()]

    @property
    def numbers(self) -> list[int]:
        every = range(1, self.table.num_rows + len(self.bad) + 1)
        return sorted(set(every) - {row.number for row in self.bad})


def exhausted(reading: Reading) -> Loaded:
    tables = [pa.Table.from_batches([batch]) for batch in reading.batches]
    table = pa.concat_tables(tables, promote_options="default") if tables else pa.table({})
    assert set(table.schema.types) <= {pa.large_string()}
    return Loaded(table, reading.bad, reading.warnings)


def loaded(folder: Path, content: str | bytes, name: str = "upload") -> Loaded:
    path = folder / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    unpacked = unpack([(path, name)], folder)
    [file] = unpacked.files
    reading = read(file.path, file.name)
    reading.warnings.extend(unpacked.warnings)
    return exhausted(reading)
