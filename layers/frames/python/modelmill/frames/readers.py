"""Readers: a file in; record batches of raw strings, and the rows that could not be read, out.

Every column arrives as Arrow large_string, whatever the format, so that one cleaning serves all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import pyarrow as pa

from modelmill.core.data.accounts import Reason
from modelmill.core.data.version import DataWarning
from modelmill.frames.encoding import detect, open_utf8
from modelmill.frames.source import sniff

RAW_CHARACTERS = 2_000
"""How much of a row that cannot be used is kept, so that a person finds it again."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read: its number (from 1, the header not counted), why, and its text."""

    number: int
    reason: Reason
    raw: str


@dataclass(slots=True)
class Reading:
    """A file being read. `bad` and `warnings` are complete once `batches` is exhausted.

    The numbers of the rows in `batches` are 1, 2, 3 … without those in `bad`.
    """

    batches: Iterator[pa.RecordBatch] = field(default_factory=lambda: iter(()))
    bad: list[BadRow] = field(default_factory=list)
    warnings: list[DataWarning] = field(default_factory=list)


def read(path: Path, name: str) -> Reading:
    """Open a CSV, TSV, JSON Lines, JSON array or Parquet file, plain or gzipped; `name` only breaks ties.

    Raises Rejected at once or while reading: empty_file, not_a_data_file, file_too_large, damaged_file, one_column,
    no_header, too_many_columns.
    """
    # Late imports: a file is of one kind, and the parsers of the others need not load.
    if sniff(path) == "parquet":
        from modelmill.frames.parquet import read_parquet

        return read_parquet(path)
    encoding = detect(path)
    with open_utf8(path, encoding) as stream:
        first = stream.read(1024).lstrip()[:1]
    if first in (b"{", b"["):
        from modelmill.frames.json_rows import read_json

        reading = read_json(path, encoding)
    else:
        from modelmill.frames.delimited import read_delimited

        suffixes = [suffix for suffix in PurePath(name.lower()).suffixes if suffix != ".gz"]
        reading = read_delimited(path, encoding, suffixes[-1] if suffixes else "")
    reading.warnings.extend(encoding.warnings)
    return reading
