"""The transform: a record batch of clean rows and the decisions in; a record batch of examples out.

One pure function for one function, for shards and for Spark: what it does to a row depends on that row and on the
decisions alone.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.accounts import REASONS, Reason
from modelmill.core.data.html import strip_html
from modelmill.core.data.mask import Pseudonyms
from modelmill.core.data.mask_rules import Kind
from modelmill.core.data.split import SPLITS
from modelmill.core.limits import CELL_CHARACTERS
from modelmill.core.model.spec import Column
from modelmill.frames.clean import apply_target_form, none_as_null, typed
from modelmill.frames.decide import Decisions
from modelmill.frames.digests import BYTES, Joined, Words, word_digests
from modelmill.frames.mask import Masked, mask_batch
from modelmill.frames.numbered import ROW
from modelmill.frames.numbers import parse_numbers
from modelmill.frames.understand import parse_dates

KEY, LOW, IDENTITY, IDENTITY_LOW = "\x1fkey", "\x1flow", "\x1fidentity", "\x1fidentity-low"
"""Digests of what a model sees and of the whole row, two words each: equal, or nearly equal, rows have one key."""
FALL = "\x1ffall"
"""uint64: what decides on which side of the split a row falls."""
GIVEN, CODE = "\x1fgiven", "\x1fcode"
"""uint8: 1 + index in SPLITS of a given split, or 0; 1 + index in REASONS of why a row is not used, or USED."""
USED = 0
NO_TIME = 0
"""The fall of a row whose time cannot be read: before all others."""
CODES: dict[Reason, int] = {reason: code for code, reason in enumerate(REASONS, start=1)}
Codes = np.ndarray[Any, np.dtype[np.uint8]]
Load = Callable[[str], bytes]
"""Gives the bytes of a cell of an image or a sound."""


@dataclass(frozen=True, slots=True)
class Transformed:
    """`examples`: inputs, target, kept columns and the columns named above. `shown`: every column, with masks.

    `content` are all cells as they were uploaded.
    """

    examples: pa.RecordBatch
    shown: pa.RecordBatch
    content: Joined
    masked: dict[str, Counter[Kind]]
    stripped: Counter[tuple[str, str]]


def transform(
    batch: pa.RecordBatch,
    decisions: Decisions,
    pseudonyms: Pseudonyms,
    *,
    first_row: int = 0,
    given: str | None = None,
    load: Load | None = None,
) -> Transformed:
    """Examples of clean rows with their numbers (column ROW).

    `first_row` is added to the numbers; `given` is the split that the name of the rows' file gives.
    """
    numbers = pc.add(batch.column(ROW), first_row)
    rows = _of_all_columns(batch, decisions)
    named = len(decisions.columns)
    content = Joined.of([*_without_paths(rows.columns[:named], decisions.columns), *rows.columns[named:]])
    decided, stripped = _as_decided(rows, decisions)
    masked = mask_batch(decided, decisions.masks, pseudonyms)
    target = _target(decided.column(decisions.target), decisions)
    inputs = typed(masked.batch, decisions.inputs)
    seen = Joined.of(_seen(inputs, masked, decisions))
    # The same text twice is a copy; two rows of a table are copies only if every column agrees, used or not.
    key = seen.digests(decisions.seed, folded=not decisions.is_tabular)
    identity = (content if decisions.is_tabular else seen).digests(decisions.seed)
    code = _judge(inputs, target)
    columns = {
        **dict(zip(inputs.schema.names, _with_media(inputs, decisions, load, code), strict=True)),
        decisions.target: target,
        **{name: masked.batch.column(name) for name in decisions.kept},
        ROW: numbers,
        KEY: pa.array(key[:, 0]),
        LOW: pa.array(key[:, 1]),
        IDENTITY: pa.array(identity[:, 0]),
        IDENTITY_LOW: pa.array(identity[:, 1]),
        FALL: pa.array(_fall(decided, decisions, key)),
        GIVEN: pa.array(_given(decided, decisions, given)),
        CODE: pa.array(code),
    }
    shown = masked.batch.set_column(
        masked.batch.schema.get_field_index(decisions.target), decisions.target, decided.column(decisions.target)
    )
    examples = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    return Transformed(examples, shown, content, masked.counts, stripped)


def _of_all_columns(batch: pa.RecordBatch, decisions: Decisions) -> pa.RecordBatch:
    """The columns of the upload in one order: a file or a piece of JSON may lack some."""
    names = [*(column.name for column in decisions.columns), *decisions.masks.dropped]
    have = set(batch.schema.names)
    missing = pa.nulls(batch.num_rows, pa.large_string())
    return pa.RecordBatch.from_arrays([batch.column(n) if n in have else missing for n in names], names=names)


def _as_decided(rows: pa.RecordBatch, decisions: Decisions) -> tuple[pa.RecordBatch, Counter[tuple[str, str]]]:
    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
    for name in decisions.none_is_null:
        if name in columns:
            columns[name] = none_as_null(columns[name])
    stripped: Counter[tuple[str, str]] = Counter()
    for name in decisions.html:
        columns[name], count = _without_html(columns[name])
        if count:
            stripped[name, "html"] = count
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)), stripped


def _without_html(column: pa.Array) -> tuple[pa.Array, int]:
    suspect = pc.fill_null(pc.match_substring_regex(column, "[<&]"), fill_value=False)
    places = np.flatnonzero(suspect.to_numpy(zero_copy_only=False))
    if not len(places):
        return column, 0
    before = column.take(pa.array(places)).to_pylist()
    after = [strip_html(text) or None for text in before]
    changed = sum(old != new for old, new in zip(before, after, strict=True))
    return pc.replace_with_mask(column, suspect, pa.array(after, column.type)), changed


def _target(column: pa.Array, decisions: Decisions) -> pa.Array:
    return parse_numbers(column) if decisions.answers == "regression" else apply_target_form(column, decisions.form)


def _seen(inputs: pa.RecordBatch, masked: Masked, decisions: Decisions) -> list[pa.Array]:
    """The inputs as a model reads them: with kinds in place of pseudonyms, and a file's digest in place of its path."""
    seen = [masked.seen.get(name, column) for name, column in zip(inputs.schema.names, inputs.columns, strict=True)]
    return _without_paths(seen, decisions.inputs)


def _without_paths(cells: Sequence[pa.Array], columns: Sequence[Column]) -> list[pa.Array]:
    """Media cells without the path of their file, so that only its bytes count."""
    return [
        pc.utf8_slice_codeunits(cell, 0, 2 * BYTES) if column.kind in ("image", "audio") else cell
        for cell, column in zip(cells, columns, strict=True)
    ]


def _judge(inputs: pa.RecordBatch, target: pa.Array) -> Codes:
    """The first reason that fits each row, as far as the row alone tells."""
    code = np.zeros(len(target), np.uint8)
    empty = np.ones(len(target), np.bool_)
    too_long = np.zeros(len(target), np.bool_)
    for column in inputs.columns:
        empty &= column.is_null().to_numpy(zero_copy_only=False)
        if pa.types.is_large_string(column.type) and column.nbytes > CELL_CHARACTERS:
            long = pc.fill_null(pc.greater(pc.utf8_length(column), CELL_CHARACTERS), fill_value=False)
            too_long |= long.to_numpy(zero_copy_only=False)
    reasons: tuple[tuple[Reason, np.ndarray[Any, np.dtype[np.bool_]]], ...] = (
        ("cell_too_long", too_long),
        ("no_usable_input", empty),
        ("missing_target", target.is_null().to_numpy(zero_copy_only=False)),
    )
    for reason, where in reasons:
        code[where] = CODES[reason]
    return code


def _with_media(inputs: pa.RecordBatch, decisions: Decisions, load: Load | None, code: Codes) -> list[pa.Array]:
    """Cells of images and sounds as the bytes of their files, for the rows that are used."""
    columns = []
    for column, kind in zip(inputs.columns, (each.kind for each in decisions.inputs), strict=True):
        if kind not in ("image", "audio") or load is None:
            columns.append(column)
            continue
        cells = zip(column.to_pylist(), code.tolist(), strict=True)
        columns.append(pa.array([load(cell) if cell and not out else None for cell, out in cells], pa.large_binary()))
    return columns


def _fall(rows: pa.RecordBatch, decisions: Decisions, key: Words) -> Words:
    if decisions.by == "group" and decisions.group is not None:
        return word_digests(rows.column(decisions.group), decisions.seed)
    if decisions.by == "time" and decisions.time is not None:
        column, form = rows.column(decisions.time), decisions.facts[decisions.time].date
        times = parse_numbers(column) if form is None else parse_dates(column, form)
        return _in_order(times.to_numpy(zero_copy_only=False))
    # Not the word that buckets are ranges of: each bucket has rows of every side.
    return key[:, 1]


def _in_order(times: "np.ndarray[Any, np.dtype[np.float64]]") -> Words:
    """Words in the order of the times, whatever their unit: of 53 bits, so that a float64 holds them exactly."""
    bits = (times + 0.0).view(np.uint64)  # makes -0.0 the same as 0.0
    ordered = np.where(bits >> np.uint64(63) == 1, ~bits, bits | np.uint64(2**63)) >> np.uint64(11)
    words: Words = np.where(np.isnan(times), np.uint64(NO_TIME), ordered)
    return words


_NAMES = {
    "train": 1, "training": 1, "validation": 2, "valid": 2, "val": 2, "dev": 2, "test": 3, "testing": 3, "eval": 3,
    "训练": 1, "训练集": 1, "验证": 2, "验证集": 2, "测试": 3, "测试集": 3,
}  # fmt: skip


def _given(rows: pa.RecordBatch, decisions: Decisions, given: str | None) -> Codes:
    """The split that a column or the file's name gives; 0 where none does."""
    if decisions.by != "given":
        return np.zeros(rows.num_rows, np.uint8)
    if decisions.given is None:
        return np.full(rows.num_rows, SPLITS.index(given) + 1 if given in SPLITS else 0, np.uint8)
    coded = rows.column(decisions.given).dictionary_encode()
    names = [_NAMES.get(value.strip().lower(), 0) for value in coded.dictionary.to_pylist()]
    codes = pc.fill_null(pc.take(pa.array(names, pa.uint8()), coded.indices), 0)
    return np.asarray(codes.to_numpy(zero_copy_only=False), np.uint8)
