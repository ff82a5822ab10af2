"""Parquet: a file, or some row groups of it, in; record batches of strings out."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from modelmill.core.errors import Rejected
from modelmill.frames.read.flat import READ_ROWS, strings
from modelmill.frames.read.reading import Reading

_HINT = "write it again with pandas, Arrow or Spark, and read it once before uploading"


def read_parquet(path: Path, groups: range | None = None) -> Reading:
    """Open a Parquet file, or the row groups `groups` of it; see `file.read` for what it raises."""
    reading = Reading()
    reading.batches = _batches(path, groups, reading)
    return reading


def _batches(path: Path, groups: range | None, reading: Reading) -> Iterator[pa.RecordBatch]:
    try:
        with pa.parquet.ParquetFile(path) as file:
            chosen = None if groups is None else list(groups)
            batches = file.iter_batches(batch_size=READ_ROWS, row_groups=chosen)
            yield from strings(batches, file.schema_arrow, reading)
    except (pa.ArrowException, OSError) as error:
        raise Rejected("damaged_file", f"the Parquet file cannot be read: {str(error)[:200]}", hint=_HINT) from None
