"""Masking of tables: clean strings and the recipe's settings in; pseudonyms in their place, and how many, out.

What to mask is planned once, of the whole file's profile and some of its rows; then any batch is masked apart.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from modelmill.core.data.cells import PLAIN
from modelmill.core.data.columns import listed
from modelmill.core.data.mask import PLURALS, Pseudonyms, counted, find, whole_find
from modelmill.core.data.mask_rules import CANDIDATE, Kind
from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Mask
from modelmill.frames.numbered import Integers
from modelmill.frames.numbers import parse_numbers
from modelmill.frames.profile import ColumnProfile, Profile
from modelmill.frames.read.reading import RAW_CHARACTERS, BadRow

_ALMOST = 0.98
_SMALL = 1e6
_IDENTITY = 0.9
"""A column of which so many values are one datum each is masked as a whole."""
_LOOKED_AT = 1_000
_REPORTED = 50
_WITHHELD = "(not kept: the recipe drops or hashes columns, and a row that cannot be read has none)"


class MaskPlan(BaseModel):
    """What happens to each column that is not kept as it is. No model reads the columns of `identities` and `hashed`.

    `cells` are searched for personal data; their plain numbers are spared where the value is true.
    """

    model_config = ConfigDict(frozen=True)
    dropped: list[str]
    hashed: list[str]
    identities: dict[str, Kind]
    cells: dict[str, bool]
    settings: Mask

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What is looked for."""
        return self.settings.kinds

    @property
    def hidden(self) -> set[str]:
        """The columns that are stored, and that no model reads."""
        return {*self.identities, *self.hashed}

    def sparing(self, target: str) -> "MaskPlan":
        """The same without the target: its values are the answers."""
        return self.model_copy(
            update={
                "identities": {name: kind for name, kind in self.identities.items() if name != target},
                "cells": {name: spare for name, spare in self.cells.items() if name != target},
            }
        )


def plan_masks(profile: Profile, sample: pa.Table, settings: Mask) -> MaskPlan:
    """What to mask in a file with this profile, of which these are some rows.

    Numbers of a column of numbers stay unless the recipe names the column.
    """
    modes = {name: settings.mode_of(name) for name in profile.columns}
    masked = [name for name, mode in modes.items() if mode == "mask"]
    found = {name: identity_of(sample.column(name), settings.kinds) for name in masked if name in sample.column_names}
    identities = {name: kind for name, kind in found.items() if kind}
    return MaskPlan(
        dropped=[name for name, mode in modes.items() if mode == "drop"],
        hashed=[name for name, mode in modes.items() if mode == "hash"],
        identities=identities,
        cells={
            name: name not in settings.columns and profile.columns[name].is_numbers(_ALMOST)
            for name in masked
            if name not in identities and (name in settings.columns or not _holds_small_numbers(profile.columns[name]))
        },
        settings=settings,
    )


def _holds_small_numbers(column: ColumnProfile) -> bool:
    """True if every value is a number that is too small to be anybody's: the shortest phone number has seven digits."""
    known = column.moments
    if known.minimum is None or known.maximum is None or known.count < column.rows - column.nulls:
        return False
    return known.minimum > -_SMALL and known.maximum < _SMALL


@dataclass(frozen=True, slots=True)
class Masked:
    """A batch with pseudonyms, the columns that models see otherwise (kinds in place of pseudonyms), and counts."""

    batch: pa.RecordBatch
    seen: dict[str, pa.Array]
    counts: dict[str, Counter[Kind]]


def mask_batch(batch: pa.RecordBatch, plan: MaskPlan, pseudonyms: Pseudonyms) -> Masked:
    """Clean strings with personal data replaced as planned; a dropped column is gone."""
    columns: dict[str, pa.Array] = {}
    seen: dict[str, pa.Array] = {}
    counts: dict[str, Counter[Kind]] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name in plan.dropped:
            continue
        columns[name] = column
        if name in plan.hashed:
            columns[name] = _whole(column, "hash", plan.kinds, pseudonyms)
        elif name in plan.identities:
            columns[name] = _whole(column, plan.identities[name], plan.kinds, pseudonyms)
            counts[name] = Counter({plan.identities[name]: len(column) - column.null_count})
        elif name in plan.cells:
            cells = _cells(column, plan.kinds, pseudonyms, spare=plan.cells[name])
            if cells.found:
                counts[name] = cells.found
            if cells.seen is not None:
                columns[name], seen[name] = cells.stored, cells.seen
    return Masked(pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)), seen, counts)


def identity_of(column: pa.ChunkedArray, kinds: Sequence[Kind]) -> Kind | None:
    """The kind of a column that holds one personal datum per cell, such as phone numbers, plain digits or not."""
    values = column.drop_null()
    candidates = pc.sum(pc.match_substring_regex(values, CANDIDATE)).as_py() or 0
    if not len(values) or candidates < _IDENTITY * len(values):
        return None
    places = np.unique(np.linspace(0, len(values) - 1, _LOOKED_AT).astype(np.int64))
    seen = Counter(only.kind for text in values.take(pa.array(places)).to_pylist() if (only := whole_find(text, kinds)))
    kind, rows = seen.most_common(1)[0] if seen else ("email", 0)
    return kind if rows >= _IDENTITY * len(places) else None


def _whole(column: pa.Array, kind: str, kinds: Sequence[Kind], pseudonyms: Pseudonyms) -> pa.Array:
    """One pseudonym per value; missing stays missing."""
    distinct = pc.unique(column).drop_null()
    names = [pseudonyms.whole(kind, text, kinds) for text in distinct.to_pylist()]
    return pc.take(pa.array(names, pa.large_string()), pc.index_in(column, value_set=distinct))


@dataclass(frozen=True, slots=True)
class _Cells:
    stored: pa.Array
    seen: pa.Array | None
    found: Counter[Kind]


def _cells(column: pa.Array, kinds: Sequence[Kind], pseudonyms: Pseudonyms, *, spare: bool) -> _Cells:
    """Pseudonyms within cells. Arrow finds the cells that may hold something; Python reads only those."""
    if spare and parse_numbers(column).null_count == column.null_count:
        return _Cells(column, None, Counter())
    coded = _coded(column)
    if coded is None:
        return _distinct_cells(column, np.ones(len(column), np.int64), kinds, pseudonyms, spare=spare)
    counts = np.bincount(coded.indices.drop_null().to_numpy(), minlength=len(coded.dictionary))
    cells = _distinct_cells(coded.dictionary, counts, kinds, pseudonyms, spare=spare)
    if cells.seen is None:
        return _Cells(column, None, cells.found)
    return _Cells(pc.take(cells.stored, coded.indices), pc.take(cells.seen, coded.indices), cells.found)


def _coded(column: pa.Array) -> pa.DictionaryArray | None:
    """The column as codes of its values, if they are so few that each is better looked at once."""
    places = np.unique(np.linspace(0, max(0, len(column) - 1), _LOOKED_AT).astype(np.int64))
    if len(column) < _LOOKED_AT or pc.count_distinct(column.take(pa.array(places))).as_py() > _LOOKED_AT // 4:
        return None
    return column.dictionary_encode()


def _distinct_cells(
    column: pa.Array, counts: Integers, kinds: Sequence[Kind], pseudonyms: Pseudonyms, *, spare: bool
) -> _Cells:
    """The same for cells each of which stands for so many rows."""
    changed = np.zeros(len(column), np.bool_)
    found: Counter[Kind] = Counter()
    stored, seen = [], []
    places = _candidates(column, spare=spare)
    for place, text in zip(places.tolist(), column.take(pa.array(places)).to_pylist(), strict=True):
        masked, shown, kinds_found = pseudonyms.views(text, kinds)
        if shown != text:
            for kind in kinds_found:
                found[kind] += int(counts[place])
            changed[place] = True
            stored.append(masked)
            seen.append(shown)
    if not stored:
        return _Cells(column, None, found)
    where = pa.array(changed)
    return _Cells(
        pc.replace_with_mask(column, where, pa.array(stored, column.type)),
        pc.replace_with_mask(column, where, pa.array(seen, column.type)),
        found,
    )


def _candidates(column: pa.Array, *, spare: bool) -> Integers:
    """Places of the cells to read; without those of plain numbers if they are to be spared."""
    where = pc.match_substring_regex(column, CANDIDATE)
    if spare:
        where = pc.and_not(where, pc.match_substring_regex(column, PLAIN))
    places: Integers = np.flatnonzero(pc.fill_null(where, fill_value=False).to_numpy(zero_copy_only=False))
    return places


def mask_bad(rows: Sequence[BadRow], settings: Mask, pseudonyms: Pseudonyms) -> list[BadRow]:
    """Rows that could not be read have no columns: masked as text, or not kept where the recipe hides a column."""
    if {"drop", "hash"} & set(settings.columns.values()):
        return [replace(row, raw=_WITHHELD) for row in rows]
    if not settings.default and "mask" not in settings.columns.values():
        return list(rows)
    return [replace(row, raw=pseudonyms.mask(_whole_words(row.raw), settings.kinds)[0]) for row in rows]


def _whole_words(raw: str) -> str:
    """A row that was cut loses the word that was cut: half a number would not be found."""
    if len(raw) < RAW_CHARACTERS:
        return raw
    end = max(raw.rfind(mark, RAW_CHARACTERS - 200) for mark in " ,;\t|")
    end = end if end > 0 else RAW_CHARACTERS - 200
    return raw[:end].rstrip("0123456789 +-()") + "…"


def check_names(names: Sequence[str], settings: Mask) -> None:
    """Raise Rejected (`no_header`) if the columns' names are personal data: then they are a row."""
    for place, name in enumerate(names, start=1):
        if settings.mode_of(name) == "mask" and (finds := find(name, settings.kinds)):
            kind = PLURALS[finds[0].kind][0]
            raise Rejected(
                "no_header",
                f"the name of column {place} holds personal data ({kind}): the first row seems to be a row",
                hint="put the names of the columns into the first row",
            )


def check_inputs(plan: MaskPlan, inputs: Sequence[str] | None, target: str | None, columns: int) -> None:
    """Raise Rejected (`no_usable_input`) if the recipe's inputs, or all but one column, are masked as a whole."""
    for name in inputs or ():
        if name in plan.identities and name != target:
            raise Rejected("no_usable_input", f"the input {name[:60]!r} {_says(plan, name)}", hint=_keep(name))
    hidden = [name for name in plan.identities if name != target]
    if hidden and columns - len(plan.hidden - {target}) < 2:
        raise Rejected(
            "no_usable_input", f"the column {hidden[0][:60]!r} {_says(plan, hidden[0])}", hint=_keep(hidden[0])
        )


def _says(plan: MaskPlan, name: str) -> str:
    return f"holds {PLURALS[plan.identities[name]][1]}, which are masked, so that a model would learn nothing from it"


def _keep(name: str) -> str:
    return f"to use it as it is, write in recipe.yaml: `mask: {{columns: {{{name[:60]}: keep}}}}`"


def target_warning(profile: ColumnProfile, kinds: Sequence[Kind]) -> list[DataWarning]:
    """That the target's values, which are not masked, hold personal data."""
    held: Counter[Kind] = Counter()
    for value, count in profile.frequent_values().items():
        held.update({each.kind: count for each in find(value, kinds)})
    if not held:
        return []
    text = f"the target holds {counted(held)}; it was not masked, because its values are the answers"
    return [DataWarning(code="personal_target", message=text)]


def mask_warnings(plan: MaskPlan, counts: Mapping[str, Counter[Kind]]) -> list[DataWarning]:
    """What was masked in each column, and which columns no model reads."""
    messages = [
        f"{counted(kinds)} were masked in column {name[:60]}" for name, kinds in list(counts.items())[:_REPORTED]
    ]
    if len(counts) > _REPORTED:
        messages.append(f"personal data was masked in {len(counts) - _REPORTED} more columns")
    found = [DataWarning(code="masked", message=message) for message in messages]
    if plan.identities:
        text = f"hold personal data in each cell; masked as a whole and left out: {listed(list(plan.identities))};"
        found.append(DataWarning(code="masked_columns", message=f"{text} {_keep('COLUMN')}"))
    return found
