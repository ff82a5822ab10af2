"""Buckets: the examples of all parts whose keys lie in one range in; sorted, without copies, split and stored, out.

A bucket holds all rows that are equal or nearly equal, because these have one key: so copies are found in it alone.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from modelmill.core.data.accounts import Reason
from modelmill.core.data.split import FOLD, SPLITS, file_of
from modelmill.frames.decide import Decisions
from modelmill.frames.digests import Words, mixed
from modelmill.frames.folds import fold_of
from modelmill.frames.numbered import ROW, Integers
from modelmill.frames.profile import Profile
from modelmill.frames.read.reading import RAW_CHARACTERS
from modelmill.frames.settle import Settled
from modelmill.frames.sides import classes, place
from modelmill.frames.tally import coded
from modelmill.frames.transform import FALL, GIVEN, IDENTITY, IDENTITY_LOW, KEY, LOW

_PROFILED_ROWS = 200_000
_WORDS = (KEY, LOW, IDENTITY, IDENTITY_LOW, FALL)
_INTERNAL = (ROW, *_WORDS, GIVEN)
_TRAIN, _VALIDATION, _TEST = range(len(SPLITS))
Booleans = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(slots=True)
class Bucketed:
    """What became of the rows of some buckets. `splits`: split → class → rows (class ANY for measures)."""

    splits: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in SPLITS})
    reasons: Counter[Reason] = field(default_factory=Counter)
    conflicts: int = 0
    repeated: int = 0
    near: int = 0
    overlap: int = 0
    """Rows of a given training split that are rows of the given test as well."""
    profile: Profile = field(default_factory=lambda: Profile(0, {}))

    def merge(self, other: "Bucketed") -> "Bucketed":
        """What became of the rows of both."""
        return Bucketed(
            {name: self.splits[name] + other.splits[name] for name in SPLITS},
            self.reasons + other.reasons,
            self.conflicts + other.conflicts,
            self.repeated + other.repeated,
            self.near + other.near,
            self.overlap + other.overlap,
            self.profile.merge(other.profile) if self.profile.rows and other.profile.rows
            else self.profile if self.profile.rows else other.profile,
        )  # fmt: skip


def bucket_of(keys: Words, buckets: int) -> Integers:
    """The bucket of each key: equal ranges of the keys."""
    return ((keys >> np.uint64(32)) * np.uint64(buckets) >> np.uint64(32)).astype(np.int64)


def no_rows(decisions: Decisions) -> pa.Table:
    """Examples of a bucket without any."""
    types = {"number": pa.float64(), "image": pa.large_binary(), "audio": pa.large_binary()}
    fields = {column.name: types.get(column.kind, pa.large_string()) for column in decisions.inputs}
    fields[decisions.target] = pa.float64() if decisions.answers == "regression" else pa.large_string()
    fields |= dict.fromkeys(decisions.kept, pa.large_string())
    fields |= {ROW: pa.int64(), **dict.fromkeys(_WORDS, pa.uint64()), GIVEN: pa.uint8()}
    return pa.schema(fields.items()).empty_table()


def write_bucket(
    rows: pa.Table, index: int, decisions: Decisions, settled: Settled, *, folder: Path, quarantine: Path
) -> Bucketed:
    """Place the rows of the bucket and store them in `folder`; what is left out goes to the file `quarantine`."""
    ordered = _ordered(rows, decisions)
    codes, labels = coded(ordered.table.column(decisions.target).combine_chunks(), decisions)
    found = _Copies.of(ordered, codes, decisions)
    left_out: dict[Reason, Booleans] = {
        "duplicate": (found.copy & ~np.bool_(settled.keep_repeated)) | (found.near & np.bool_(settled.drop_near)),
        "rare_class": np.isin(codes, [number for number, label in enumerate(labels) if label in set(settled.rare)]),
    }
    out = np.zeros(len(codes), np.bool_)
    done = Bucketed(
        conflicts=found.conflicts,
        repeated=int(found.copy.sum()),
        near=int(found.near.sum()),
        overlap=int((found.copy & (ordered.given == _TRAIN + 1) & found.beside_test).sum()),
    )
    lines: list[dict[str, Any]] = []
    for reason, where in left_out.items():
        new = np.flatnonzero(where & ~out)
        out |= where
        if len(new):
            done.reasons[reason] += len(new)
            lines += _lines(ordered, new, reason, decisions)
    write_lines(quarantine, lines)
    # Texts that look alike stay together though people gave them different classes.
    placed_as, names = classes(codes if decisions.is_tabular else codes[found.first_of_key], labels, settled)
    falls = _spread(ordered, found, placed_as, len(names)) if settled.spread else ordered.words[FALL]
    sides = place(falls, placed_as, names, ordered.given, settled)
    stored = ordered.table.drop_columns([name for name in _INTERNAL if name in ordered.table.column_names])
    if settled.folds is not None:
        folds = _folds(falls, placed_as, names, out | (sides == _TEST), settled)
        if not settled.gives_validation:
            sides = np.where(folds == 0, _VALIDATION, sides)
        stored = stored.append_column(FOLD, pa.array(folds))
    for side, name in enumerate(SPLITS):
        chosen = np.flatnonzero(~out & (sides == side))
        table = stored.take(pa.array(chosen)).combine_chunks()
        counts = np.bincount(codes[chosen], minlength=len(labels)).tolist()
        done.splits[name] = Counter({label: n for label, n in zip(labels, counts, strict=True) if n})
        pa.parquet.write_table(table, folder / file_of(name, index, decisions.buckets), compression="zstd")
        if side == _TRAIN:
            done.profile = _profile(table, decisions)
    return done


@dataclass(frozen=True, slots=True)
class _Ordered:
    """Rows by key, identity, class; of equal ones those of a given test first, then by number."""

    table: pa.Table
    words: dict[str, Words]
    given: Integers
    numbers: Integers


def _ordered(rows: pa.Table, decisions: Decisions) -> _Ordered:
    words = {name: rows.column(name).to_numpy() for name in _WORDS}
    given = rows.column(GIVEN).to_numpy().astype(np.int64)
    numbers = rows.column(ROW).to_numpy()
    codes, _ = coded(rows.column(decisions.target).combine_chunks(), decisions)
    order = np.lexsort((numbers, -given, codes, words[IDENTITY_LOW], words[IDENTITY], words[LOW], words[KEY]))
    taken = rows.take(pa.array(order)).combine_chunks()
    return _Ordered(taken, {name: word[order] for name, word in words.items()}, given[order], numbers[order])


@dataclass(frozen=True, slots=True)
class _Copies:
    """Of ordered rows: copies of one before, near copies, the first of each key; rows that contradict one."""

    copy: Booleans
    near: Booleans
    first_of_key: Integers
    beside_test: Booleans
    conflicts: int

    @classmethod
    def of(cls, ordered: _Ordered, codes: Integers, decisions: Decisions) -> "_Copies":
        words = ordered.words
        same_key = _repeats(words[KEY]) & _repeats(words[LOW])
        same_row = same_key & _repeats(words[IDENTITY]) & _repeats(words[IDENTITY_LOW]) & _repeats(codes)
        first = np.maximum.accumulate(np.where(same_row, 0, np.arange(len(codes))))
        first_of_key = np.maximum.accumulate(np.where(same_key, 0, np.arange(len(codes))))
        # Of rows that only look alike one is the first of its class.
        pairs = first_of_key * (int(codes.max(initial=0)) + 1) + codes
        first_of_pair = np.zeros(len(codes), np.bool_)
        first_of_pair[np.unique(pairs, return_index=True)[1]] = True
        near = ~same_row & ~first_of_pair & (not decisions.is_tabular)
        conflicts = 0 if not decisions.has_classes else int((codes != codes[first_of_key]).sum())
        return cls(
            same_row,
            near,
            first_of_key,
            ordered.given[first] == _TEST + 1,
            conflicts,
        )


def _repeats(values: "np.ndarray[Any, Any]") -> Booleans:
    """True where a value equals the one before."""
    same = np.zeros(len(values), np.bool_)
    same[1:] = values[1:] == values[:-1]
    return same


def _spread(ordered: _Ordered, found: _Copies, codes: Integers, classes: int) -> Words:
    """Where rows fall, those of a class with equal inputs apart from each other, as `settle` counts them."""
    falls = ordered.words[FALL].copy()
    places = np.flatnonzero(ordered.given <= _TRAIN + 1)
    groups = (found.first_of_key * (classes + 1) + codes)[places]
    order = np.lexsort((found.copy[places], groups))  # what may be left out has the last numbers
    first = np.maximum.accumulate(np.where(_repeats(groups[order]), 0, np.arange(len(order))))
    falls[places[order]] = mixed(falls[places[order]], (np.arange(len(order)) - first).astype(np.uint64))
    return falls


def _folds(falls: Words, codes: Integers, names: Sequence[str], left_out: Booleans, settled: Settled) -> Any:
    """The fold of each row, int32; -1 for rows without one."""
    folds = np.full(len(falls), -1, np.int32)
    inside = np.flatnonzero(~left_out)
    if settled.folds == 0:  # all rows are in one bucket then
        folds[inside] = np.unique(falls[inside], return_inverse=True)[1]
    else:
        folds[inside] = fold_of(falls[inside], codes[inside], names, settled.fold_rules)
    return folds


def _profile(table: pa.Table, decisions: Decisions) -> Profile:
    """Of the training rows, of 200,000 at most: rows lie in the order of their digests, so these are any."""
    media = [column.name for column in decisions.inputs if column.kind in ("image", "audio")]
    left = [name for name in (*media, *decisions.kept, FOLD) if name in table.column_names]
    rows = table.drop_columns(left).slice(0, _PROFILED_ROWS // decisions.buckets)
    profile = Profile(0, {})
    for batch in rows.to_batches(max_chunksize=65_536):
        seen = Profile.of(batch)
        profile = profile.merge(seen) if profile.rows else seen
    return profile


def _lines(ordered: _Ordered, places: Integers, reason: Reason, decisions: Decisions) -> list[dict[str, Any]]:
    names = [c.name for c in decisions.inputs if c.kind not in ("image", "audio")] + [decisions.target]
    shown = ordered.table.select(names).take(pa.array(places))
    strings = shown.cast(pa.schema([(name, pa.large_string()) for name in names])).to_pylist()
    return [line(int(row), reason, raw) for row, raw in zip(ordered.numbers[places], strings, strict=True)]


def line(row: int, reason: Reason, raw: "dict[str, Any] | str") -> dict[str, Any]:
    """A line of quarantine.jsonl; long cells are cut."""
    if isinstance(raw, dict):
        raw = {name: value[:RAW_CHARACTERS] if isinstance(value, str) else value for name, value in raw.items()}
    return {"row": row, "reason": reason, "raw": raw}


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    """Store lines by row number."""
    with path.open("w", encoding="utf-8", errors="replace") as file:
        file.writelines(
            json.dumps(each, ensure_ascii=False) + "\n" for each in sorted(lines, key=lambda each: each["row"])
        )
