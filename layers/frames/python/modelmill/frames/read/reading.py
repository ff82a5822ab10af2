"""What readers give: record batches of raw strings, and the rows that could not be read.

Every column arrives as Arrow large_string, whatever the format, so that one cleaning serves all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from modelmill.core.data.accounts import Reason
from modelmill.core.data.version import DataWarning

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
