"""Parquet: a file in, record batches of strings out. Columns of lists, structs or bytes are left out with a warning."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.core.limits import COLUMNS, MIB, UNPACKED_BYTES
from modelmill.frames.read.dialect import unique_names
from modelmill.frames.read.reading import Reading
from modelmill.frames.read.source import is_gzip, open_unpacked

_READ_ROWS = 1_024
_BATCH_ROWS = 16_384
_BATCH_BYTES = 64 * MIB
_HINT = "write it again with pandas, Arrow or Spark, and read it once before uploading"


def read_parquet(path: Path) -> Reading:
    """Open a Parquet file; see `readers.read` for what it raises."""
    reading = Reading()
    reading.batches = _batches(path, reading)
    return reading


def _batches(path: Path, reading: Reading) -> Iterator[pa.RecordBatch]:
    try:
        if not is_gzip(path):
            yield from _read(path, reading)
            return
        # Parquet is read from its end, so a gzipped one must lie unpacked on disk.
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / "data.parquet"
            with open_unpacked(path) as packed, plain.open("wb") as file:
                shutil.copyfileobj(packed, file)
            yield from _read(plain, reading)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise Rejected("damaged_file", f"the Parquet file cannot be read: {str(error)[:200]}", hint=_HINT) from None


def _read(path: Path, reading: Reading) -> Iterator[pa.RecordBatch]:
    with pa.parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        if len(schema) > COLUMNS:
            raise Rejected("too_many_columns", f"the file has {len(schema)} columns", limit=COLUMNS)
        usable = [index for index, column in enumerate(schema) if _is_flat(column.type)]
        left_out = [column.name for column in schema if not _is_flat(column.type)]
        if left_out:
            text = f"hold lists, structures or bytes; left out: {', '.join(left_out[:50])}"
            reading.warnings.append(DataWarning(code="columns_unreadable", message=text))
        names, renamed = unique_names([schema.names[index] for index in usable])
        reading.warnings.extend(renamed)
        _check_size(sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups)))
        for batch in _grouped(file.iter_batches(batch_size=_READ_ROWS)):
            columns = [_strings(batch.column(index)) for index in usable]
            yield pa.RecordBatch.from_arrays(columns, names=list(names))


def _grouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Larger batches from small ones. They are read small because a page of Parquet can say one long value often."""
    group: list[pa.RecordBatch] = []
    total = rows = size = 0
    for batch in batches:
        group.append(batch)
        total, rows, size = total + batch.nbytes, rows + batch.num_rows, size + batch.nbytes
        _check_size(total)
        if rows >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield pa.concat_batches(group)
            group, rows, size = [], 0, 0
    if group:
        yield pa.concat_batches(group)


def _check_size(size: int) -> None:
    if size > UNPACKED_BYTES:
        raise Rejected(
            "file_too_large",
            f"the file unpacks to more than {UNPACKED_BYTES >> 20} MiB",
            limit=UNPACKED_BYTES,
            hint="upload a sample of the rows",
        )


def _is_flat(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
                or pa.types.is_fixed_size_binary(kind))  # fmt: skip


def _strings(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return pc.cast(column, pa.large_string())
