"""Typed record batches in; record batches of strings out, for the readers of Parquet and Arrow.

Structures become columns `a.b`, one level deep. What is not flat then (lists, bytes) is left out with a warning.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.core.limits import COLUMNS, MIB, UNPACKED_BYTES
from modelmill.frames.read.dialect import unique_names
from modelmill.frames.read.reading import Reading

READ_ROWS = 256
"""Rows that are decoded at once: a page can say one long value often, so few of them may be large."""
_BATCH_ROWS = 16_384
_BATCH_BYTES = 64 * MIB


def strings(batches: Iterator[pa.RecordBatch], schema: pa.Schema, reading: Reading) -> Iterator[pa.RecordBatch]:
    """Batches of `READ_ROWS` rows as larger ones of large_string; raises Rejected on too many columns or bytes."""
    flat = _flattened(pa.Table.from_batches([], schema)).schema
    if len(flat) > COLUMNS:
        raise Rejected("too_many_columns", f"the file has {len(flat)} columns", limit=COLUMNS)
    usable = [index for index, column in enumerate(flat) if _is_text(column.type)]
    left_out = [column.name for column in flat if not _is_text(column.type)]
    if left_out:
        text = f"hold lists, structures or bytes; left out: {', '.join(left_out[:50])}"
        reading.warnings.append(DataWarning(code="columns_unreadable", message=text))
    names, renamed = unique_names([flat.names[index] for index in usable])
    reading.warnings.extend(renamed)
    for batch in _grouped(batches):
        table = _flattened(pa.Table.from_batches([batch]))
        columns = [_strings(table.column(index)) for index in usable]
        yield pa.RecordBatch.from_arrays(columns, names=list(names))


def too_large() -> Rejected:
    """The refusal of a file whose rows are larger than its bytes let expect."""
    return Rejected(
        "file_too_large",
        f"the file unpacks to more than {UNPACKED_BYTES // MIB} MiB, or its rows to more than fits the memory",
        limit=UNPACKED_BYTES,
        hint="upload a sample of the rows",
    )


def _flattened(table: pa.Table) -> pa.Table:
    return table.flatten() if any(pa.types.is_struct(kind) for kind in table.schema.types) else table


def _grouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Larger batches from small ones."""
    group: list[pa.RecordBatch] = []
    total = rows = size = 0
    for batch in batches:
        group.append(batch)
        total, rows, size = total + batch.nbytes, rows + batch.num_rows, size + batch.nbytes
        if total > UNPACKED_BYTES:
            raise too_large()
        if rows >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield pa.concat_batches(group)
            group, rows, size = [], 0, 0
    if group:
        yield pa.concat_batches(group)


def _is_text(kind: pa.DataType) -> bool:
    """True for what a cell can say: numbers, decimals, times, booleans, text, and dictionaries and runs of them."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _is_text(kind.value_type)
    kinds = pa.types
    return bool(
        kinds.is_null(kind) or kinds.is_boolean(kind) or kinds.is_integer(kind) or kinds.is_floating(kind)
        or kinds.is_decimal(kind) or kinds.is_string(kind) or kinds.is_large_string(kind)
        or kinds.is_string_view(kind) or kinds.is_date(kind) or kinds.is_time(kind) or kinds.is_timestamp(kind)
    )  # fmt: skip


def _strings(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    elif pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    if not pa.types.is_timestamp(array.type):
        return pc.cast(array, pa.large_string())
    if array.type.tz:
        # The clock of UTC: no table of time zones is needed to write it.
        array = array.cast(pa.timestamp(array.type.unit, "UTC"))
    return pc.replace_substring_regex(pc.cast(array, pa.large_string()), r"\.0+(Z?)$", r"\1")
