"""Cleaning: record batches of raw strings in, the same rows with clean cells, nulls and types, out.

Everything here works on a batch alone, so it runs on any shard: what needs the whole file (is `None` a class? how is
a class written?) was decided before, and is applied cell by cell.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.cells import BREAKS, FORMULA, INVISIBLE, MISSING, NONE, PLAIN, SEPARATORS
from modelmill.core.data.labels import TargetForm
from modelmill.core.model.recipe import Clean
from modelmill.core.model.spec import Column
from modelmill.frames.cells import COMPOSABLE, CONTROL, SEPARATOR, SPACE, Bytes, Cells, Odd, Rows, mend, without
from modelmill.frames.numbers import parse_numbers

Actions = Counter[tuple[str, str]]
"""(column, action) → cells: `control`, `unicode` and `whitespace` changed, `missing` became null, `formula` flagged."""

_MISSING = pa.array(MISSING, pa.large_string())
_BOOLEANS = pa.array(["true", "false"], pa.large_string())
_LONGEST_MARK = max(len(mark) for mark in MISSING)
_MARK, _FORMULA = 1, 2
_FIRST = np.zeros(256, np.uint8)
_FIRST[[ord(mark[0]) for mark in MISSING if mark]] |= _MARK
_FIRST[[ord(character) for character in "=+-@"]] |= _FORMULA
_SECOND = np.zeros(256, np.bool_)
_SECOND[[ord(mark[1]) for mark in MISSING if len(mark) > 1]] = True


def clean(batch: pa.RecordBatch, settings: Clean) -> tuple[pa.RecordBatch, Actions]:
    """Every cell without control characters, in one Unicode form, trimmed; an empty or missing one is null.

    The columns are large_string. As `core.data.cells.clean_text` does it for one cell, but many times as fast.
    """
    actions: Actions = Counter()
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        done, counts = _clean_column(column, settings)
        columns.append(done)
        actions.update({(name, action): count for action, count in counts.items() if count})
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names), actions


def _clean_column(column: pa.Array, settings: Clean) -> tuple[pa.Array, dict[str, int]]:
    counts = {}
    cells = Cells.of(column)
    odd = Odd.of(cells.data)
    flag = CONTROL if settings.control == "strip" else SEPARATOR
    if odd.any(flag):
        strip = _without_controls if settings.control == "strip" else _without_separators
        column, counts["control"] = mend(column, cells.rows_of(odd.where(flag)), strip)
        cells = Cells.of(column)
        odd = Odd.of(cells.data)
    if settings.unicode == "nfc" and odd.any(COMPOSABLE):
        column, counts["unicode"] = mend(column, cells.rows_of(odd.where(COMPOSABLE)), _nfc)
    elif settings.unicode == "nfkc" and len(cells.data) and cells.data.max() >= 0x80:
        column, counts["unicode"] = mend(column, cells.rows_of(np.flatnonzero(cells.data >= 0x80)), _nfkc)
    if counts.get("unicode"):
        cells = Cells.of(column)
        odd = Odd.of(cells.data)
    column, counts["whitespace"] = mend(column, _padded(cells, odd), pc.utf8_trim_whitespace)
    return _with_nulls(column, counts)


def _without_controls(cells: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(pc.replace_substring_regex(cells, INVISIBLE, ""), BREAKS, " ")


def _without_separators(cells: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(cells, SEPARATORS, " ")


def _nfc(cells: pa.Array) -> pa.Array:
    return pc.utf8_normalize(cells, form="NFC")


def _nfkc(cells: pa.Array) -> pa.Array:
    return pc.utf8_normalize(cells, form="NFKC")


def _padded(cells: Cells, odd: Odd) -> Rows:
    """Rows that may begin or end with white space."""
    none = np.zeros(0, np.int64)
    if not len(cells.data):
        return none
    edges, wide = none, none
    if cells.data.min() <= 0x20:
        edges = np.flatnonzero((cells.at_start() <= 0x20) | (cells.at_end() <= 0x20))
    if odd.any(SPACE):
        places = (odd.flags & SPACE) > 0
        rows = np.searchsorted(cells.ends, odd.places[places], side="right")
        at_edge = (cells.starts[rows] == odd.places[places]) | (
            cells.ends[rows] == odd.places[places] + odd.widths[places]
        )
        wide = rows[at_edge]
    return np.concatenate([edges, wide])


def _with_nulls(column: pa.Array, counts: dict[str, int]) -> tuple[pa.Array, dict[str, int]]:
    """Null for empty cells and marks of missing values; formulas are counted on the way."""
    cells = Cells.of(column)
    lengths = cells.ends - cells.starts
    gone = lengths == 0
    if len(cells.data):
        first = _FIRST[cells.at_start()]
        marks = _marks(cells, first, lengths)
        gone[marks] = True
        counts["missing"] = len(marks)
        counts["formula"] = _formulas(cells, first)
    return (without(column, gone) if gone.any() else column), counts


def _marks(cells: Cells, first: Bytes, lengths: Rows) -> Rows:
    """Rows of what people write for a missing value, by the first two bytes before they are compared."""
    rows = np.flatnonzero((first & _MARK > 0) & (lengths <= _LONGEST_MARK) & (lengths > 0))
    if len(rows):
        rows = rows[_SECOND[cells.at_start(1)[rows]] | (lengths[rows] == 1)]
    if not len(rows):
        return rows
    found = pc.is_in(cells.column.take(pa.array(rows)), value_set=_MISSING)
    kept: Rows = rows[found.to_numpy(zero_copy_only=False)]
    return kept


def _formulas(cells: Cells, first: Bytes) -> int:
    """Cells that a spreadsheet would run: behind a sign they call something, so numbers are none."""
    if not (first & _FORMULA).any():
        return 0
    calls = (cells.data == ord("(")).any() or (cells.data == ord("|")).any()
    rows = np.flatnonzero(first & _FORMULA if calls else cells.at_start() == ord("="))
    found = pc.match_substring_regex(cells.column.take(pa.array(rows)), FORMULA)
    return pc.sum(found).as_py() or 0


def none_as_null(column: pa.Array) -> pa.Array:
    """A clean column in which `None` is no class (`core.data.columns.none_is_class`), with null in its place."""
    return pc.if_else(pc.equal(column, NONE), pa.scalar(None, column.type), column)


def apply_target_form(column: pa.Array, form: TargetForm) -> pa.Array:
    """The target's clean strings as class names, as `form.class_name` names each of them."""
    coded = column.dictionary_encode()
    names = pa.array([form.class_name(value) for value in coded.dictionary.to_pylist()], pa.large_string())
    return pc.take(names, coded.indices)


def class_names(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The target as class names: whole numbers without fraction (1, not 1.0), booleans as true and false."""
    distinct = pc.unique(values).drop_null()
    numeric = pc.all(pc.match_substring_regex(distinct, PLAIN)).as_py() and not parse_numbers(distinct).null_count
    boolean = pc.all(pc.is_in(pc.utf8_lower(distinct), value_set=_BOOLEANS)).as_py()
    form = TargetForm(numeric=numeric, boolean=boolean)
    return pa.chunked_array([apply_target_form(chunk, form) for chunk in values.chunks], pa.large_string())


def typed(batch: pa.RecordBatch, inputs: Sequence[Column]) -> pa.RecordBatch:
    """The input columns of a clean batch: numbers as float64, all else as strings."""
    columns = [
        parse_numbers(batch.column(column.name)) if column.kind == "number" else batch.column(column.name)
        for column in inputs
    ]
    return pa.RecordBatch.from_arrays(columns, names=[column.name for column in inputs])
