"""Where the model is weak: columns of the test rows and a score of each row in; slices, the worst first, out.

Numbers are cut into quarters, texts by length and language, other columns by value. Of many slices some look bad by
chance: `weak` is said only of what is so with a certainty of 95 % for all slices together (Bonferroni).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelmill.core.data.language import language_of_text
from modelmill.training.evaluate.bootstrap import Floats, figure

FEWEST_ROWS = 30
_VALUES, _SHOWN, _NAME = 20, 60, 80
_SENTENCE = 40
"""Mean characters from which a column is of texts, which are told by length and language."""
_CERTAINTY = 0.95
Part = tuple[str, NDArray[np.bool_]]


class RowScores(NamedTuple):
    """A score of each row, [rows]; `measure` says which; a share is between 0 and 1."""

    measure: str
    values: Floats
    is_share: bool
    is_better_high: bool


def slices(columns: Mapping[str, Sequence[object]], scores: RowScores) -> list[dict[str, Any]]:
    """Slices with enough rows: `column`, `value`, `rows`, `score` with its interval, and whether they are `weak`."""
    parts = [
        (name, value, scores.values[rows])
        for name, cells in columns.items()
        for value, rows in _parts(list(cells))
        if FEWEST_ROWS <= rows.sum() < len(rows)
    ]
    overall = float(scores.values.mean())
    sure = NormalDist().inv_cdf(1 - (1 - _CERTAINTY) / 2 / max(1, len(parts)))
    found: list[dict[str, Any]] = []
    for name, value, part in parts:
        low, high = _interval(part, NormalDist().inv_cdf((1 + _CERTAINTY) / 2), is_share=scores.is_share)
        surely_low, surely_high = _interval(part, sure, is_share=scores.is_share)
        # Of a part that is all right, rounding alone may put the interval's end below 1.
        weak = max(surely_high, part.mean()) < overall if scores.is_better_high else surely_low > overall
        found.append(
            {
                "column": name,
                "value": value,
                "rows": len(part),
                "score": {"value": figure(float(part.mean())), "low": figure(low), "high": figure(high)},
                "weak": bool(weak),
            }
        )
    sign = 1 if scores.is_better_high else -1
    return sorted(found, key=lambda one: (not one["weak"], sign * one["score"]["value"]))[:_SHOWN]


def _interval(part: Floats, deviations: float, *, is_share: bool) -> tuple[float, float]:
    """Wilson's interval of a share (1927), the normal one of another mean."""
    rows, mean = len(part), float(part.mean())
    if not is_share:
        half = deviations * float(part.std(ddof=1)) / rows**0.5
        return mean - half, mean + half
    squared = deviations**2
    middle = (mean + squared / 2 / rows) / (1 + squared / rows)
    half = deviations / (1 + squared / rows) * (mean * (1 - mean) / rows + squared / 4 / rows**2) ** 0.5
    return middle - half, middle + half


def _parts(cells: list[object]) -> Iterator[Part]:
    """The slices of a column: a name and which rows, bool [rows]. Media have none."""
    present = [cell for cell in cells if cell is not None and cell != ""]
    if not present or isinstance(present[0], bytes | dict | list):
        return
    missing = np.array([cell is None or cell == "" for cell in cells])
    if missing.any():
        yield "missing", missing
    if isinstance(present[0], int | float) and not isinstance(present[0], bool):
        yield from _quarters(np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64), "")
        return
    texts = [None if cell is None or cell == "" else str(cell) for cell in cells]
    lengths = np.array([np.nan if text is None else len(text) for text in texts])
    if np.nanmean(lengths) < _SENTENCE:
        yield from _values(texts)
        return
    yield from _quarters(lengths, " characters")
    languages = [None if text is None else language_of_text(text) for text in texts]
    if len(set(languages) - {None}) > 1:
        yield from _values(languages)


def _quarters(numbers: Floats, unit: str) -> Iterator[Part]:
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return
    edges = np.unique(np.quantile(known, [0, 0.25, 0.5, 0.75, 1], method="nearest"))
    if len(edges) < 2:
        return
    for place, (low, high) in enumerate(pairwise(edges)):
        inside = (numbers >= low if place == 0 else numbers > low) & (numbers <= high)
        yield f"{'' if place == 0 else '> '}{low:.6g} to {high:.6g}{unit}", inside


def _values(texts: Sequence[str | None]) -> Iterator[Part]:
    cells = np.array(texts, dtype=object)
    counted = Counter(text for text in texts if text is not None)
    for value, _ in sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:_VALUES]:
        yield value[:_NAME], cells == value
