"""Masking of a table: clean strings and the recipe's settings in; pseudonyms in their place, and how many, out.

Arrow finds the cells that may hold personal data; Python reads only those.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.cells import PLAIN
from modelmill.core.data.columns import listed
from modelmill.core.data.mask import CANDIDATE, PLURALS, PSEUDONYM, Pseudonyms, counted, find, whole_find
from modelmill.core.data.mask_rules import Kind
from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Mask
from modelmill.frames.quarantine import Integers
from modelmill.frames.read.reading import RAW_CHARACTERS, BadRow

_ALMOST = 0.98
_IDENTITY = 0.9
"""A column of which so many values are one datum each is masked as a whole."""
_LOOKED_AT = 1_000
_REPORTED = 50
_WITHHELD = "(not kept: the recipe drops or hashes columns, and a row that cannot be read has none)"
Counts = dict[Kind, int]


@dataclass(frozen=True, slots=True)
class Masked:
    """`table` has no dropped column; no model reads the columns of `identities` and `hashed`."""

    table: pa.Table
    counts: dict[str, Counts]
    identities: dict[str, Kind]
    hashed: list[str]

    @property
    def hidden(self) -> list[str]:
        """The columns that are stored, and that no model reads."""
        return [*self.identities, *self.hashed]


def mask_table(table: pa.Table, settings: Mask, pseudonyms: Pseudonyms) -> Masked:
    """Every column as the settings say, the target too: who calls knows it later and keeps it."""
    columns: dict[str, pa.ChunkedArray] = {}
    counts: dict[str, Counts] = {}
    identities: dict[str, Kind] = {}
    hashed = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        mode = settings.mode_of(name)
        if mode == "drop":
            continue
        columns[name] = column
        if mode == "hash":
            hashed.append(name)
            columns[name] = _whole(column, "hash", settings.kinds, pseudonyms)
        elif mode == "mask" and (kind := identity_of(column, settings.kinds)):
            identities[name] = kind
            counts[name] = {kind: len(column) - column.null_count}
            columns[name] = _whole(column, kind, settings.kinds, pseudonyms)
        elif mode == "mask":
            columns[name], found = _cells(column, settings, pseudonyms, whole=name in settings.columns)
            if found:
                counts[name] = found
    return Masked(pa.table(columns), counts, identities, hashed)


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


def _whole(column: pa.ChunkedArray, kind: str, kinds: Sequence[Kind], pseudonyms: Pseudonyms) -> pa.ChunkedArray:
    """One pseudonym per value; missing stays missing."""
    distinct = pc.unique(column).drop_null()
    names = [pseudonyms.whole(kind, text, kinds) for text in distinct.to_pylist()]
    return pc.take(pa.array(names, pa.large_string()), pc.index_in(column, value_set=distinct))


def _cells(
    column: pa.ChunkedArray, settings: Mask, pseudonyms: Pseudonyms, *, whole: bool
) -> tuple[pa.ChunkedArray, Counts]:
    """Pseudonyms within cells. The numbers of a column of numbers stay unless the recipe names it (`whole`)."""
    found: Counter[Kind] = Counter()
    plain = pc.sum(pc.match_substring_regex(column, PLAIN)).as_py() or 0
    spare = not whole and plain >= _ALMOST * (len(column) - column.null_count)
    chunks = [_chunk(chunk, _candidates(chunk, spare=spare), settings, pseudonyms, found) for chunk in column.chunks]
    return (pa.chunked_array(chunks, column.type), dict(found)) if found else (column, {})


def _candidates(chunk: pa.Array, *, spare: bool) -> Integers:
    """Places of the cells to read; without those of plain numbers if they are to be spared."""
    where = pc.match_substring_regex(chunk, CANDIDATE)
    if spare:
        where = pc.and_not(where, pc.match_substring_regex(chunk, PLAIN))
    places: Integers = np.flatnonzero(pc.fill_null(where, fill_value=False).to_numpy(zero_copy_only=False))
    return places


def _chunk(chunk: pa.Array, places: Integers, settings: Mask, pseudonyms: Pseudonyms, found: Counter[Kind]) -> pa.Array:
    changed = np.zeros(len(chunk), np.bool_)
    texts = []
    for place, text in zip(places.tolist(), chunk.take(pa.array(places)).to_pylist(), strict=True):
        masked, seen = pseudonyms.mask(text, settings.kinds)
        if seen:
            found.update(seen)
            changed[place] = True
            texts.append(masked)
    return pc.replace_with_mask(chunk, pa.array(changed), pa.array(texts, chunk.type)) if texts else chunk


def as_models_see(inputs: pa.Table) -> pa.Table:
    """The same table with a kind in place of each pseudonym: it depends on no key."""
    for place, column in enumerate(inputs.columns):
        if pa.types.is_large_string(column.type) and pc.any(pc.match_substring_regex(column, PSEUDONYM)).as_py():
            seen = pc.replace_substring_regex(column, PSEUDONYM, r"<mask\1>")
            inputs = inputs.set_column(place, inputs.column_names[place], seen)
    return inputs


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


def check_inputs(masked: Masked, inputs: Sequence[str] | None, target: str | None, columns: int) -> None:
    """Raise Rejected (`no_usable_input`) if the recipe's inputs, or all but one column, are masked as a whole."""
    for name in inputs or ():
        if name in masked.identities and name != target:
            raise Rejected("no_usable_input", f"the input {name[:60]!r} {_says(masked, name)}", hint=_keep(name))
    hidden = [name for name in masked.identities if name != target]
    if hidden and columns - len(set(masked.hidden) - {target}) < 2:
        raise Rejected(
            "no_usable_input", f"the column {hidden[0][:60]!r} {_says(masked, hidden[0])}", hint=_keep(hidden[0])
        )


def _says(masked: Masked, name: str) -> str:
    return f"holds {PLURALS[masked.identities[name]][1]}, which are masked, so that a model would learn nothing from it"


def _keep(name: str) -> str:
    return f"to use it as it is, write in recipe.yaml: `mask: {{columns: {{{name[:60]}: keep}}}}`"


def warnings_of(masked: Masked, target: str) -> list[DataWarning]:
    """What was masked in each column, which columns no model reads, and that the target was spared."""
    counts = {name: kinds for name, kinds in masked.counts.items() if name != target}
    messages = [
        f"{counted(kinds)} were masked in column {name[:60]}" for name, kinds in list(counts.items())[:_REPORTED]
    ]
    if len(counts) > _REPORTED:
        messages.append(f"personal data was masked in {len(counts) - _REPORTED} more columns")
    found = [DataWarning(code="masked", message=message) for message in messages]
    hidden = [name for name in masked.identities if name != target]
    if hidden:
        text = f"hold personal data in each cell; masked as a whole and left out: {listed(hidden)}. {_keep('COLUMN')}"
        found.append(DataWarning(code="masked_columns", message=text))
    if target in masked.counts:
        text = (
            f"the target holds {counted(masked.counts[target])}; it was not masked, because its values are the answers"
        )
        found.append(DataWarning(code="personal_target", message=text))
    return found
