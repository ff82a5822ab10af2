"""How well one column alone tells the target: a column and the target in, a share between 0 and 1 out.

A column is cut into bins, each bin answers what is most frequent (or the mean) in it, and what was learnt from half
of the rows is judged on the other half, so that a key with a value per row tells nothing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Integers = np.ndarray[Any, np.dtype[np.int64]]
Numbers = np.ndarray[Any, np.dtype[np.float64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]
_QUANTILES = np.linspace(0, 1, 65)
_FEW_CLASSES = 20
_OFTEN = 5
FEWEST = 30
"""Fewer rows to judge by say nothing."""


@dataclass(frozen=True, slots=True)
class Power:
    """Share of rows that the column alone tells right, and the share that always the same answer would."""

    right: float
    base: float

    @property
    def skill(self) -> float:
        """Share of what the base gets wrong that the column gets right; 0 if it is no better."""
        return max(0.0, (self.right - self.base) / (1 - self.base)) if self.base < 1 else 0.0


NONE = Power(0.0, 1.0)


def coded(column: pa.ChunkedArray, target: Integers | Numbers) -> Integers:
    """The bin of each value: numbers and lengths of texts by quantiles, words by themselves; 0 for missing."""
    if pa.types.is_floating(column.type):
        return bins(column.to_numpy(), target)
    encoded = pc.dictionary_encode(column.combine_chunks())
    codes: Integers = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    return codes


def lengths(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Characters of each text, as numbers."""
    return pc.cast(pc.utf8_length(column), pa.float64())


def bins(numbers: Numbers, target: Integers | Numbers) -> Integers:
    """Bins cut at quantiles of the numbers, of their distinct values, and at each class's least and largest number."""
    codes = np.zeros(len(numbers), np.int64)
    known = ~np.isnan(numbers)
    values = numbers[known]
    if not len(values):
        return codes
    edges = [np.quantile(some, _QUANTILES, method="nearest") for some in (values, np.unique(values))]
    if target.dtype == np.int64 and int(target.max()) < _FEW_CLASSES:
        classes = target[known].astype(np.int64)
        least, most = np.full(_FEW_CLASSES, np.inf), np.full(_FEW_CLASSES, -np.inf)
        np.minimum.at(least, classes, values)
        np.maximum.at(most, classes, values)
        edges += [least[np.isfinite(least)], most[np.isfinite(most)]]
    cuts = np.unique(np.concatenate(edges))
    places = np.minimum(np.searchsorted(cuts, values), len(cuts) - 1)
    on = cuts[places] == values
    # A value that comes back often, such as 0, has a bin of its own.
    often = np.bincount(places[on], minlength=len(cuts)) >= _OFTEN
    codes[known] = 1 + 2 * places + (on & often[places])
    return codes


def class_power(codes: Integers, classes: Integers, *, ordered: bool = False) -> Power:
    """How often the most frequent class of each bin is right; of `ordered` bins empty ones answer as neighbours do."""
    learn = _half(len(codes))
    judge = ~learn
    if judge.sum() < FEWEST or not learn.any():
        return NONE
    width = int(classes.max()) + 1
    counts = np.bincount(classes[learn], minlength=width)
    usual = int(counts.argmax())
    pairs, seen = np.unique(codes[learn] * width + classes[learn], return_counts=True)
    order = np.lexsort((-seen, pairs // width))
    kept, first = np.unique(pairs[order] // width, return_index=True)
    best = pairs[order][first] % width
    size = int(codes.max()) + 1
    if ordered:
        answers = best[np.maximum(0, np.searchsorted(kept, np.arange(size), "right") - 1)]
    else:
        answers = np.full(size, usual, np.int64)
        answers[kept] = best
    truth = classes[judge]
    return Power(float((answers[codes[judge]] == truth).mean()), float((truth == usual).mean()))


def _half(rows: int) -> Booleans:
    """The rows to learn from, about half of them: tossed, not every other, because files have rhythms."""
    return np.random.default_rng(0).random(rows) < 0.5


def number_power(codes: Integers, target: Numbers) -> Power:
    """Share of the target's variance that the mean of each bin explains (R²); the base is 0."""
    learn = _half(len(codes))
    judge = ~learn
    truth = target[judge]
    spread = float(((truth - truth.mean()) ** 2).sum()) if len(truth) >= FEWEST else 0.0
    if spread == 0:
        return NONE
    size = int(codes.max()) + 1
    counts = np.bincount(codes[learn], minlength=size)
    sums = np.bincount(codes[learn], weights=target[learn], minlength=size)
    means = np.where(counts > 0, sums / np.maximum(1, counts), target[learn].mean())
    return Power(max(0.0, 1 - float(((truth - means[codes[judge]]) ** 2).sum()) / spread), 0.0)


def correlation(first: Numbers, second: Numbers) -> float:
    """The larger of |Pearson's r| and |Spearman's rho| over the rows that have both; 0 if one does not vary."""
    known = ~(np.isnan(first) | np.isnan(second))
    if known.sum() < FEWEST:
        return 0.0
    a, b = first[known], second[known]
    return max(_pearson(a, b), _pearson(_ranks(a), _ranks(b)))


def _pearson(first: Numbers, second: Numbers) -> float:
    a, b = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((a * a).sum()) * np.sqrt((b * b).sum()))
    return abs(float((a * b).sum())) / scale if scale > 0 else 0.0


def _ranks(numbers: Numbers) -> Numbers:
    """Mean ranks: equal numbers have equal ranks."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Numbers = ((ends - counts + ends - 1) / 2)[places]
    return ranks
