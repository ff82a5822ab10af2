"""Cleaning: record batches of raw strings in, the same rows trimmed, with nulls and types, out.

`clean` needs nothing but the batch, so it runs on any shard; `decide_none` and `typed` need the whole file.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.cells import DECORATED, GROUP_MARKS, LONGEST_NUMBER, MISSING, NONE, PLAIN
from modelmill.core.model.spec import Column

_MISSING = pa.array(MISSING, pa.large_string())
_FEW_VALUES = 20
"""A column of words with at most so many different ones has classes, and `None` is one of them."""
LARGEST = 3.0e38
"""Numbers beyond it do not fit a float32, in which models compute: they count as missing."""


def clean(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Trim every cell; an empty one, and what people write for a missing value, becomes null."""
    columns = []
    for column in batch.columns:
        trimmed = pc.utf8_trim_whitespace(column)
        known = pc.if_else(pc.is_in(trimmed, value_set=_MISSING), pa.scalar(None, pa.large_string()), trimmed)
        columns.append(known)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def decide_none(table: pa.Table) -> pa.Table:
    """A whole clean file with `None` as null in each column where it is no class."""
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        decided = _without_none(column)
        table = table if decided is column else table.set_column(place, name, decided)
    return table


def _without_none(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """`None` as null, unless the column's other values are a few words of which it is one."""
    is_none = pc.equal(column, NONE)
    if not pc.any(is_none).as_py():
        return column
    others = pc.unique(column.filter(pc.invert(pc.fill_null(is_none, fill_value=True))))
    if 0 < len(others) <= _FEW_VALUES and parse_numbers(others).null_count == len(others):
        return column
    return pc.if_else(is_none, pa.scalar(None, column.type), column)


def parse_numbers(strings: pa.Array) -> pa.Array:
    """float64 of the strings that are finite decimal numbers (1,234.5 and $12 and 5% too), null for the others."""
    plain = pc.match_substring_regex(strings, PLAIN)
    if pc.any(pc.invert(plain)).as_py():
        short = pc.and_(pc.invert(plain), pc.less(pc.utf8_length(strings), LONGEST_NUMBER))
        decorated = pc.and_(short, pc.match_substring_regex(pc.if_else(short, strings, ""), DECORATED))
        if pc.any(decorated).as_py():
            bare = pc.replace_substring_regex(pc.if_else(decorated, strings, "0"), DECORATED, r"\1\2")
            strings = pc.if_else(decorated, pc.replace_substring_regex(bare, GROUP_MARKS, ""), strings)
            plain = pc.or_(plain, decorated)
    kept = pc.if_else(plain, strings, pa.scalar(None, strings.type))
    numbers = pc.cast(pc.utf8_ltrim(kept, characters="+"), pa.float64())
    return pc.if_else(pc.less_equal(pc.abs(numbers), LARGEST), numbers, pa.scalar(None, pa.float64()))


def typed(batch: pa.RecordBatch, inputs: Sequence[Column]) -> pa.RecordBatch:
    """The input columns of a clean batch: numbers as float64, all else as strings."""
    columns = [
        parse_numbers(batch.column(column.name)) if column.kind == "number" else batch.column(column.name)
        for column in inputs
    ]
    return pa.RecordBatch.from_arrays(columns, names=[column.name for column in inputs])


def class_names(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The target as class names: whole numbers without fraction (1, not 1.0), booleans as true and false."""
    distinct = pc.unique(values).drop_null()
    lower = pc.utf8_lower(distinct)
    if pc.all(pc.is_in(lower, value_set=pa.array(["true", "false"], pa.large_string()))).as_py():
        return pc.utf8_lower(values)
    if not pc.all(pc.match_substring_regex(distinct, PLAIN)).as_py():
        return values
    numbers = parse_numbers(distinct)
    if numbers.null_count:
        return values
    names = pa.array([_number_name(number) for number in numbers.to_pylist()], pa.large_string())
    return pc.take(names, pc.index_in(values, value_set=distinct))


def _number_name(number: float) -> str:
    return str(int(number)) if number == int(number) and abs(number) < 2**53 else repr(number)
