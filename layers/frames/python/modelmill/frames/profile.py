"""Profiles: record batches in, mergeable statistics of every column out (Apache DataSketches).

`Profile.of(batch)` and `a.merge(b)` form a monoid, so shards can be profiled apart. Equal rows in equal order give
equal bytes: that is why quantiles come from a t-digest (deterministic) and not from a KLL sketch (it tosses coins).
"""

import base64
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import datasketches as ds
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.columns import ColumnSummary
from modelmill.core.digest import canonical_json
from modelmill.frames.numbers import parse_numbers
from modelmill.frames.sketches import frequent_bytes, hll_bytes

_DIGEST_K = 400
"""Rank errors below 1 %, in 7.5 KB a column: at 100 the middle of a normal sample was off by 3 %."""
_HLL_LG_K = 12
_FREQUENT_LG = 11
"""Up to 1,500 different values are counted exactly: as many as there can be classes."""
_FREQUENT_VALUES = 1_500
_FREQUENT_CHARACTERS = 100
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_STRETCH = 128 * 1024
_LOOKED_AT, _NEARLY_ALL = 2_000, 0.98
_DIGESTED = 4_096
"""Numbers of a batch that a t-digest is fed with: it takes longer for one than to sort several."""
_SPACE, _TAB, _RETURN, _FIRST_FOREIGN = 0x20, 0x09, 0x0D, 0x80
_FIRST_CJK, _LAST_CJK = 0xE3, 0xED
"""First bytes of U+3000 to U+DFFF in UTF-8 (RFC 3629): kana, Han, Hangul and what stands between them."""
Numbers = np.ndarray[Any, np.dtype[np.float64]]
Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean and sum of squared deviations of numbers, merged by Chan's formula (1979); `integers` are whole."""

    count: int = 0
    integers: int = 0
    mean: float = 0.0
    squares: float = 0.0
    minimum: float | None = None
    maximum: float | None = None

    @classmethod
    def of(cls, numbers: Numbers, counts: Counts) -> "Moments":
        """Moments of finite numbers, each of which comes so often."""
        if not len(numbers):
            return cls()
        total = int(counts.sum())
        total, weights = int(counts.sum()), counts.astype(np.float64)
        # No matrix product: for it BLAS would wake threads, which wait at full speed.
        mean = float((numbers * weights).sum()) / total
        return cls(
            total,
            int(counts[numbers == np.floor(numbers)].sum()),
            mean,
            float(((numbers - mean) ** 2 * weights).sum()),
            float(numbers.min()),
            float(numbers.max()),
        )

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both."""
        if not self.count or not other.count:
            return self if self.count else other
        count, shift = self.count + other.count, other.mean - self.mean
        return Moments(
            count,
            self.integers + other.integers,
            self.mean + shift * other.count / count,
            self.squares + other.squares + shift * shift * self.count * other.count / count,
            _least(self, other),
            _most(self, other),
        )


def _least(a: Moments, b: Moments) -> float | None:
    return min((value for value in (a.minimum, b.minimum) if value is not None), default=None)


def _most(a: Moments, b: Moments) -> float | None:
    return max((value for value in (a.maximum, b.maximum) if value is not None), default=None)


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column. Sketches are never changed after they are made: `merge` makes new ones."""

    rows: int
    nulls: int
    words: int
    cjk: int
    characters: int
    moments: Moments
    quantiles: Any
    distinct: Any
    frequent: Any

    @classmethod
    def of(cls, column: pa.Array) -> "ColumnProfile":
        """Profile of strings (their numbers are found) or of float64."""
        values = column.drop_null()
        counted = _counted(values)
        quantiles = ds.tdigest_double(_DIGEST_K)
        if len(counted.numbers):
            quantiles.update(_thinned(counted.numbers, counted.number_counts))
        words, cjk, characters = (0, 0, 0) if pa.types.is_floating(values.type) else _count_text(values)
        return cls(
            len(column),
            column.null_count,
            words,
            cjk,
            characters,
            Moments.of(counted.numbers, counted.number_counts),
            quantiles,
            _distinct(counted),
            _frequent(counted),
        )

    @classmethod
    def empty(cls, rows: int) -> "ColumnProfile":
        """A column that these rows do not have."""
        return cls.of(pa.nulls(rows, pa.large_string()))

    def merge(self, other: "ColumnProfile") -> "ColumnProfile":
        """Profile of the rows of both."""
        quantiles = ds.tdigest_double(_DIGEST_K)
        union = ds.hll_union(_HLL_LG_K)
        frequent = ds.frequent_strings_sketch(_FREQUENT_LG)
        for part in (self, other):
            if not part.quantiles.is_empty():
                quantiles.merge(part.quantiles)
            union.update(part.distinct)
            frequent.merge(part.frequent)
        return ColumnProfile(
            self.rows + other.rows,
            self.nulls + other.nulls,
            self.words + other.words,
            self.cjk + other.cjk,
            self.characters + other.characters,
            self.moments.merge(other.moments),
            quantiles,
            union.get_result(ds.HLL_4),
            frequent,
        )

    def frequent_values(self) -> dict[str, int]:
        """Values with their counts: all of them if they are at most 1,500 of at most 100 characters."""
        items = self.frequent.get_frequent_items(ds.frequent_items_error_type.NO_FALSE_NEGATIVES, 0)
        return {value: int(count) for value, count, _, _ in sorted(items)}

    def is_numbers(self, share: float) -> bool:
        """True if this share of the values are numbers."""
        return self.moments.count >= share * max(1, self.rows - self.nulls)

    def summary(self, name: str) -> ColumnSummary:
        """What the rules of core.data.columns look at."""
        values = max(1, self.rows - self.nulls)
        return ColumnSummary(
            name,
            self.rows,
            self.nulls,
            self.moments.count,
            self.moments.integers,
            self.distinct.get_estimate(),
            self.moments.minimum,
            self.moments.maximum,
            self.words / values,
            self.cjk / values,
        )


@dataclass(frozen=True, slots=True)
class _Counted:
    """Values and how often each comes. Where hardly any comes twice, they are not counted: each has the count 1."""

    numbers: Numbers
    number_counts: Counts
    words: pa.Array
    """Values that are no numbers."""
    values: pa.Array | None
    """All values as strings, if they were counted."""
    counts: Counts


def _counted(values: pa.Array) -> _Counted:
    if len(values) > _LOOKED_AT and _hardly_repeats(values):
        counts, distinct, kept = np.ones(len(values), np.int64), values, None
    else:
        pairs = pc.value_counts(values)
        counts, distinct = pairs.field("counts").to_numpy(zero_copy_only=False), pairs.field("values")
        kept = distinct if pa.types.is_large_string(distinct.type) else pc.cast(distinct, pa.large_string())
    if pa.types.is_floating(distinct.type):
        return _Counted(np.array(distinct), counts, pa.array([], pa.large_string()), kept, counts)
    numbers = parse_numbers(distinct)
    if numbers.null_count == 0:
        return _Counted(np.array(numbers), counts, distinct.slice(0, 0), kept, counts)
    known = numbers.is_valid()
    where = known.to_numpy(zero_copy_only=False)
    return _Counted(np.array(numbers.drop_null()), counts[where], distinct.filter(pc.invert(known)), kept, counts)


def _thinned(numbers: Numbers, counts: Counts) -> Numbers:
    """Each number as often as it comes; of many, evenly spaced ones of them in order: their quantiles are the same."""
    total = int(counts.sum())
    if total <= _DIGESTED:
        return np.repeat(numbers, counts)
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(counts[order])
    ranks = (np.arange(_DIGESTED) * 2 + 1) * total // (2 * _DIGESTED)
    return numbers[order][np.searchsorted(ends, ranks, side="right")]


def _hardly_repeats(values: pa.Array) -> bool:
    """True if among some values, evenly spaced, nearly all differ: then none of them is frequent."""
    places = np.linspace(0, len(values) - 1, _LOOKED_AT).astype(np.int64)
    return bool(pc.count_distinct(values.take(pa.array(places))).as_py() > _NEARLY_ALL * _LOOKED_AT)


def _distinct(counted: _Counted) -> Any:
    """Sketch of the different values. A number counts as a number, however written: 1 and 1.0 are one value."""
    sketch = ds.hll_sketch(_HLL_LG_K, ds.HLL_4)
    update = sketch.update
    for number in counted.numbers.tolist():
        update(number)
    for word in counted.words.to_pylist():
        update(word)
    return sketch


def _frequent(counted: _Counted) -> Any:
    """Sketch of the frequent values, fed with the most frequent ones of the batch."""
    sketch = ds.frequent_strings_sketch(_FREQUENT_LG)
    if counted.values is None:
        return sketch
    values, counts = counted.values, counted.counts
    if len(values) > _FREQUENT_VALUES:
        # A value that is rarer than all these has less than one row in a thousand: the sketch would not keep it.
        top = np.sort(np.argpartition(-counts, _FREQUENT_VALUES)[:_FREQUENT_VALUES])
        values, counts = values.take(pa.array(top)), counts[top]
    for value, count in zip(values.to_pylist(), counts.tolist(), strict=True):
        if len(value) <= _FREQUENT_CHARACTERS:
            sketch.update(value, count)
    return sketch


def _count_text(strings: pa.Array) -> tuple[int, int, int]:
    """Words, CJK characters, characters: of the bytes of all strings at once, since only the sums are wanted."""
    if len(strings) == 0:
        return 0, 0, 0
    offsets = np.frombuffer(strings.buffers()[1], np.int64)[strings.offset : strings.offset + len(strings) + 1]
    data = np.frombuffer(strings.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    # A word begins where a blank ends; each cell's first character begins one too, as cells are trimmed.
    words, cjk, followers = len(strings), 0, 0
    # Stretch by stretch, for what fits the processor's cache is counted several times as fast.
    for start in range(0, len(data), _STRETCH):
        piece = data[start : start + _STRETCH + 1]
        blank = (piece == _SPACE) | ((piece >= _TAB) & (piece <= _RETURN))
        words += int(np.count_nonzero(blank[:-1] & ~blank[1:]))
        piece = piece[:_STRETCH]
        if int(piece.max()) >= _FIRST_FOREIGN:
            cjk += int(np.count_nonzero((piece >= _FIRST_CJK) & (piece <= _LAST_CJK)))
            followers += int(np.count_nonzero((piece & 0xC0) == 0x80))
    return words, cjk, len(data) - followers


@dataclass(frozen=True, slots=True)
class Profile:
    """Profiles of the columns of `rows` rows, in the order of the columns."""

    rows: int
    columns: dict[str, ColumnProfile]

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> "Profile":
        """Profile of a clean or typed batch."""
        return cls(batch.num_rows, {name: ColumnProfile.of(batch.column(name)) for name in batch.schema.names})

    def merge(self, other: "Profile") -> "Profile":
        """Profile of the rows of both; a column that one of them lacks is null there."""
        columns = {}
        for name in dict.fromkeys((*self.columns, *other.columns)):
            mine = self.columns.get(name) or ColumnProfile.empty(self.rows)
            columns[name] = mine.merge(other.columns.get(name) or ColumnProfile.empty(other.rows))
        return Profile(self.rows + other.rows, columns)

    def summaries(self) -> list[ColumnSummary]:
        """The summaries that planning needs."""
        return [column.summary(name) for name, column in self.columns.items()]

    def to_bytes(self) -> bytes:
        """`profile.bin`: canonical JSON with the sketches' own bytes in base64. Equal profiles give equal bytes."""
        return canonical_json(
            {"format": 1, "rows": self.rows, "columns": [_packed(name, c) for name, c in self.columns.items()]}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "Profile":
        """The inverse of `to_bytes`; raises ValueError for anything else."""
        return cls.from_document(json.loads(data))

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Profile":
        """The profile of the JSON value that `to_bytes` writes; raises ValueError for anything else."""
        if document.get("format") != 1:
            raise ValueError("not a profile of format 1")
        return cls(document["rows"], {packed["name"]: _unpacked(packed) for packed in document["columns"]})

    def as_dict(self, masked: Callable[[str], str] = str, hidden: Collection[str] = ()) -> dict[str, Any]:
        """The profile for people, as JSON values: frequent values are shown `masked`, those of `hidden` columns not."""
        return {
            "rows": self.rows,
            "columns": [_readable(name, c, masked, shown=name not in hidden) for name, c in self.columns.items()],
        }


def _moments_dict(moments: Moments) -> dict[str, Any]:
    return {name: getattr(moments, name) for name in Moments.__dataclass_fields__}


def _packed(name: str, column: ColumnProfile) -> dict[str, Any]:
    def text(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return {
        "name": name,
        "counts": [column.rows, column.nulls, column.words, column.cjk, column.characters],
        "moments": _moments_dict(column.moments),
        "quantiles": text(column.quantiles.serialize()),
        "distinct": text(hll_bytes(column.distinct)),
        "frequent": text(frequent_bytes(column.frequent)),
    }


def _unpacked(packed: dict[str, Any]) -> ColumnProfile:
    def sketch(deserialize: Callable[[bytes], Any], field: str) -> Any:
        return deserialize(base64.b64decode(packed[field], validate=True))

    rows, nulls, words, cjk, characters = packed["counts"]
    return ColumnProfile(
        rows,
        nulls,
        words,
        cjk,
        characters,
        Moments(**packed["moments"]),
        sketch(ds.tdigest_double.deserialize, "quantiles"),
        sketch(ds.hll_sketch.deserialize, "distinct"),
        sketch(ds.frequent_strings_sketch.deserialize, "frequent"),
    )


def _most_frequent(column: ColumnProfile, masked: Callable[[str], str]) -> list[dict[str, Any]]:
    """Up to ten values that surely are frequent, most frequent first, ties by value."""
    items = column.frequent.get_frequent_items(ds.frequent_items_error_type.NO_FALSE_POSITIVES)
    ranked = sorted(items, key=lambda item: (-item[1], item[0]))
    return [{"value": masked(value), "count": count} for value, count, _, _ in ranked[:10]]


def _readable(name: str, column: ColumnProfile, masked: Callable[[str], str], *, shown: bool) -> dict[str, Any]:
    values, moments = column.rows - column.nulls, column.moments
    body: dict[str, Any] = {
        "name": name,
        "rows": column.rows,
        "nulls": column.nulls,
        "distinct": round(column.distinct.get_estimate()),
        "frequent": _most_frequent(column, masked) if shown else [],
    }
    if values and column.characters:
        body["text"] = {"mean_words": column.words / values, "mean_characters": column.characters / values}
    if moments.count and shown:
        body["numbers"] = {
            "count": moments.count,
            "minimum": moments.minimum,
            "maximum": moments.maximum,
            "mean": moments.mean,
            "deviation": (moments.squares / moments.count) ** 0.5,
            "quantiles": {str(rank): column.quantiles.get_quantile(rank) for rank in _QUANTILES},
        }
    return body
