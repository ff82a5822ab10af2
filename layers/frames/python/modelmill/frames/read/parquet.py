"""Parquet: a file, or some row groups of it, in; record batches of strings out."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from modelmill.core.errors import Rejected
from modelmill.frames.read.flat import READ_ROWS, strings, too_large
from modelmill.frames.read.reading import Reading

_HINT = "write it again with pandas, Arrow or Spark, and read it once before uploading"


def read_parquet(path: Path, groups: range | None = None) -> Reading:
    """Open a Parquet file, or the row groups `groups` of it; see `file.read` for what it raises."""
    reading = Reading()
    reading.batches = _batches(path, groups, reading)
    return reading


def _batches(path: Path, groups: range | None, reading: Reading) -> Iterator[pa.RecordBatch]:
    try:
        with open_parquet(path) as file:
            chosen = None if groups is None else list(groups)
            batches = file.iter_batches(batch_size=READ_ROWS, row_groups=chosen)
            read = 0
            for batch in strings(batches, file.schema_arrow, reading):
                read += batch.num_rows
                yield batch
            promised = sum(file.metadata.row_group(index).num_rows for index in chosen or range(file.num_row_groups))
            if read < promised:
                raise pa.ArrowInvalid(f"it has {read} rows of {promised}")
    except pa.ArrowMemoryError:
        raise too_large() from None
    except (pa.ArrowException, OSError) as error:
        raise Rejected("damaged_file", f"the Parquet file cannot be read: {str(error)[:200]}", hint=_HINT) from None


def open_parquet(path: Path) -> "pa.parquet.ParquetFile":
    """The opened file, of which only what is asked for is read; also one that lies elsewhere and can be opened."""
    return pa.parquet.ParquetFile(path if isinstance(path, Path) else path.open("rb"))
