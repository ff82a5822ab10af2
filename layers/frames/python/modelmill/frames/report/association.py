"""How much columns say about the target and about each other: coded columns in, numbers between -1 and 1 out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Integers = np.ndarray[Any, np.dtype[np.int64]]
Numbers = np.ndarray[Any, np.dtype[np.float64]]
_TENTHS = np.arange(1, 10) / 10
_FIFTHS = np.arange(1, 5) / 5
_VALUES = 50
_FEWEST_PAIRS = 3


def code_numbers(numbers: Numbers) -> Integers:
    """The bin of each number; NaN has its own. What cuts tenths of the rows, or of the distinct values, is a bin too.

    Tenths of the distinct values look into the few rows beside a value that nearly all have, such as 0.
    """
    codes = np.zeros(len(numbers), np.int64)
    known = ~np.isnan(numbers)
    values = numbers[known]
    if not len(values):
        return codes
    cuts = (np.quantile(some, _TENTHS, method="nearest") for some in (values, np.unique(values)))
    edges = np.unique(np.concatenate(list(cuts)))
    codes[known] = 1 + np.searchsorted(edges, values, side="left") + np.searchsorted(edges, values, side="right")
    return codes


def code_measure(numbers: Numbers) -> Integers:
    """The fifth of the rows in which each number of a target lies: few, as every bin is one more to be filled."""
    edges = np.unique(np.quantile(numbers, _FIFTHS, method="nearest"))
    codes = np.searchsorted(edges, numbers, side="left") + np.searchsorted(edges, numbers, side="right")
    return np.asarray(codes, np.int64)


def code_strings(strings: pa.Array) -> Integers:
    """A code for each of the 50 most frequent strings, one for all others, one for null."""
    counted = pc.value_counts(strings.drop_null())
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    frequent = [value for value, _ in sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:_VALUES]]
    found = pc.index_in(strings, value_set=pa.array(frequent, strings.type))
    codes = pc.fill_null(pc.add(found, 2), 1)
    coded = pc.if_else(pc.is_null(strings), 0, codes).to_numpy(zero_copy_only=False)
    return np.asarray(coded, np.int64)


def explained(codes: Integers, classes: Integers) -> float:
    """Share of the classes' entropy that a coded column removes: mutual information / entropy, 0 to 1.

    What chance alone would show is taken off (Miller 1955: (r - 1)(c - 1) / 2n), so a column of noise is near 0.
    """
    entropy = _entropy(np.bincount(classes))
    if entropy <= 0:
        return 0.0
    width = int(classes.max()) + 1
    rows, columns, both = np.bincount(codes), np.bincount(classes), np.bincount(codes * width + classes)
    information = _entropy(rows) + _entropy(columns) - _entropy(both)
    chance = (np.count_nonzero(rows) - 1) * (np.count_nonzero(columns) - 1) / (2 * len(codes))
    return float(min(1.0, max(0.0, (information - chance) / entropy)))


def associations(coded: Sequence[Integers]) -> list[list[float | None]]:
    """Cramér's V of each pair of coded columns, 0 to 1, corrected for chance (Bergsma 2013); None for a constant."""
    size = len(coded)
    matrix: list[list[float | None]] = [[None] * size for _ in range(size)]
    for i, first in enumerate(coded):
        for j in range(i):
            matrix[i][j] = matrix[j][i] = _cramers_v(first, coded[j])
    return matrix


def _cramers_v(first: Integers, second: Integers) -> float | None:
    rows = len(first)
    _, first = np.unique(first, return_inverse=True)
    _, second = np.unique(second, return_inverse=True)
    tall, wide = int(first.max(initial=0)) + 1, int(second.max(initial=0)) + 1
    if min(tall, wide) < 2 or rows < _FEWEST_PAIRS:
        return None
    table = np.bincount(first * wide + second, minlength=tall * wide).reshape(tall, wide)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / rows
    square = max(0.0, float(((table - expected) ** 2 / expected).sum()) / rows - (tall - 1) * (wide - 1) / (rows - 1))
    least = min(tall - (tall - 1) ** 2 / (rows - 1), wide - (wide - 1) ** 2 / (rows - 1)) - 1
    return round(min(1.0, float(np.sqrt(square / least))), 3) if least > 0 else None


def _entropy(counts: Integers) -> float:
    """Entropy in nats of a distribution given by counts."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def correlations(columns: Sequence[Numbers]) -> list[list[float | None]]:
    """Pearson's correlation of each pair over the rows that have both; None where one of them does not vary."""
    size = len(columns)
    matrix: list[list[float | None]] = [[None] * size for _ in range(size)]
    for i, first in enumerate(columns):
        for j in range(i, size):
            matrix[i][j] = matrix[j][i] = _correlation(first, columns[j])
    return matrix


def _correlation(first: Numbers, second: Numbers) -> float | None:
    known = ~(np.isnan(first) | np.isnan(second))
    if known.sum() < _FEWEST_PAIRS:
        return None
    a, b = first[known] - first[known].mean(), second[known] - second[known].mean()
    scale = np.sqrt((a * a).sum()) * np.sqrt((b * b).sum())
    return round(float(np.clip((a * b).sum() / scale, -1, 1)), 3) if scale > 0 else None
