"""Arrow IPC, as file (also called Feather 2) or as stream: a file in, record batches of strings out."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from modelmill.core.errors import Rejected
from modelmill.frames.read.flat import READ_ROWS, strings, too_large
from modelmill.frames.read.reading import Reading
from modelmill.frames.read.source import ARROW_FILE

_HINT = "write it again with Arrow, pandas or polars, and read it once before uploading"


def read_arrow(path: Path) -> Reading:
    """Open an Arrow IPC file or stream; see `file.read` for what it raises."""
    reading = Reading()
    reading.batches = _batches(path, reading)
    return reading


def _batches(path: Path, reading: Reading) -> Iterator[pa.RecordBatch]:
    try:
        with pa.memory_map(str(path)) as source:
            is_file = source.read(len(ARROW_FILE)) == ARROW_FILE
            source.seek(0)
            opened = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
            with opened:
                yield from strings(_slices(_whole(opened)), opened.schema, reading)
    except pa.ArrowMemoryError:
        raise too_large() from None
    except (pa.ArrowException, OSError) as error:
        raise Rejected("damaged_file", f"the Arrow file cannot be read: {str(error)[:200]}", hint=_HINT) from None


def _whole(opened: "pa.ipc.RecordBatchFileReader | pa.ipc.RecordBatchStreamReader") -> Iterator[pa.RecordBatch]:
    if isinstance(opened, pa.ipc.RecordBatchFileReader):
        yield from (opened.get_batch(index) for index in range(opened.num_record_batches))
    else:
        yield from opened


def _slices(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        # Nothing has looked at the offsets in it, which may lead anywhere.
        batch.validate(full=True)
        for start in range(0, batch.num_rows, READ_ROWS):
            yield batch.slice(start, READ_ROWS)
