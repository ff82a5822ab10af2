"""Whether each side of a split has the same labels: counts or measures of each side in, warnings out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelmill.core.data.columns import listed
from modelmill.core.data.version import DataWarning

Counts = Mapping[str, Mapping[str, int]]
"""Split → class → rows."""
Numbers = np.ndarray[Any, np.dtype[np.float64]]
FEW_TEST_ROWS = 5
SIGNIFICANT = 4.0
"""Standard deviations of a normal distribution: what chance alone reaches in one of 30,000 cases."""
_SHIFTED = 0.1
_FEWEST = 30


_LARGER_TEST = ", or take more for the test (`split: {train: 0.6, validation: 0.15, test: 0.25}` in recipe.yaml)"


def few_test_rows(counts: Counts, by: str) -> list[DataWarning]:
    """`few_test_rows` if a class has so few that its own figures mean nothing."""
    test = counts.get("test", {})
    few = sorted((test.get(name, 0), name) for name in counts.get("train", {}) if test.get(name, 0) < FEW_TEST_ROWS)
    if not few:
        return []
    named = listed([f"{name[:40]} ({count})" for count, name in few[:10]])
    # Shares place no row of a given test.
    more = "" if by == "given" else _LARGER_TEST
    text = (
        f"{len(few)} of {len(counts['train'])} classes have fewer than {FEW_TEST_ROWS} test rows: {named}; bring more"
        f" rows of them{more}"
    )
    return [DataWarning(code="few_test_rows", message=text)]


def given_classes(counts: Counts) -> list[DataWarning]:
    """`unseen_classes` and `label_shift` of a split that somebody else made."""
    train = counts.get("train", {})
    warnings = []
    for side in ("validation", "test"):
        other = counts.get(side, {})
        unseen = sorted(name for name, count in other.items() if count and not train.get(name))
        if unseen:
            rows = sum(other[name] for name in unseen)
            text = f"{rows:,} {side} rows have classes that no training row has: {listed(unseen[:10])}; {_WAY_OUT}"
            warnings.append(DataWarning(code="unseen_classes", message=text))
        shift = _class_shift(train, other)
        if shift:
            warnings.append(DataWarning(code="label_shift", message=f"{side}: {shift}; {_WAY_OUT}"))
    return warnings


_WAY_OUT = "if new rows are like the training rows, let a new split be made: `split: {by: stratified}` in recipe.yaml"


def _class_shift(train: Mapping[str, int], other: Mapping[str, int]) -> str | None:
    names = sorted(name for name in {*train, *other} if train.get(name) and name in other)
    table = np.array([[train[name] for name in names], [other[name] for name in names]], np.int64)
    if len(names) < 2 or (table.sum(axis=1) < _FEWEST).any():
        return None
    shares = table / table.sum(axis=1, keepdims=True)
    gaps = shares[1] - shares[0]
    squares, deviations = chi_square(table)
    if float(np.abs(gaps).sum() / 2) < _SHIFTED or deviations < SIGNIFICANT:
        return None
    worst = int(np.abs(gaps).argmax())
    return (
        f"{names[worst][:40]!r} is {100 * shares[1][worst]:.1f} % of the rows and {100 * shares[0][worst]:.1f} % of the"
        f" training rows (chi-square {squares:,.0f}, {len(names) - 1} degrees of freedom)"
    )


def given_numbers(sides: Mapping[str, Numbers]) -> list[DataWarning]:
    """`label_shift` of measures, by the largest distance of their distributions (Kolmogorov and Smirnov)."""
    train = np.sort(sides["train"])
    warnings = []
    for side in ("validation", "test"):
        other = np.sort(sides.get(side, np.empty(0)))
        if min(len(train), len(other)) < _FEWEST:
            continue
        points = np.concatenate([train, other])
        gap = np.abs(
            np.searchsorted(train, points, "right") / len(train) - np.searchsorted(other, points, "right") / len(other)
        ).max()
        chance = 2.3 * np.sqrt(1 / len(train) + 1 / len(other))  # reached by chance in one of 20,000 cases
        if gap > max(_SHIFTED, chance):
            text = (
                f"{side}: its median is {np.median(other):.4g}, that of the training rows {np.median(train):.4g}"
                f" (their distributions are {gap:.2f} apart); {_WAY_OUT}"
            )
            warnings.append(DataWarning(code="label_shift", message=text))
    return warnings


def chi_square(table: np.ndarray[Any, np.dtype[np.int64]]) -> tuple[float, float]:
    """Pearson's statistic of a table of counts, and how unlikely it is in deviations (Wilson, Hilferty 1931)."""
    kept = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    freedom = (kept.shape[0] - 1) * (kept.shape[1] - 1)
    if freedom < 1:
        return 0.0, 0.0
    expected = np.outer(kept.sum(axis=1), kept.sum(axis=0)) / kept.sum()
    squares = float(((kept - expected) ** 2 / expected).sum())
    scale = 2 / (9 * freedom)
    return squares, float(((squares / freedom) ** (1 / 3) - (1 - scale)) / np.sqrt(scale))
