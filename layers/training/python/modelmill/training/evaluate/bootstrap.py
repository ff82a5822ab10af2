"""Percentile bootstraps over rows (Efron and Tibshirani 1993, §13.3): a statistic of weighted rows in, intervals out.

A resample is how often each row was drawn, so one function of weights gives the value (every row once) and all
resamples, and two models that are measured with the same seed are measured on the same resamples: paired.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Statistic = Callable[[Floats], Mapping[str, Floats]]
"""Weights [B, rows] → scores by name, each [B]."""
_RESAMPLES, _FEWEST, _DRAWS = 1_000, 200, 50_000_000
_BLOCK = 1_000_000
_DIGITS = 6


class Bootstrapped(NamedTuple):
    """Scores of the rows, and [resamples] of each."""

    values: dict[str, float]
    samples: dict[str, Floats]

    def intervals(self) -> dict[str, dict[str, float]]:
        """Value and 95 % interval of each score."""
        return {name: interval(value, self.samples[name]) for name, value in self.values.items()}


def resamples(rows: int) -> int:
    """1,000, and fewer of very many rows, whose intervals are narrow anyway."""
    return int(np.clip(_DRAWS // rows, _FEWEST, _RESAMPLES))


def bootstrap(statistic: Statistic, rows: int, seed: int) -> Bootstrapped:
    """The statistic of all rows and of resamples of them; equal for equal seeds."""
    values = {name: float(value[0]) for name, value in statistic(np.ones((1, rows))).items()}
    blocks = [statistic(weights) for weights in _draws(rows, seed)]
    return Bootstrapped(values, {name: np.concatenate([block[name] for block in blocks]) for name in values})


def _draws(rows: int, seed: int) -> Iterator[Floats]:
    """How often each row was drawn, [B, rows], until there are enough resamples."""
    random = np.random.default_rng(seed)
    left = resamples(rows)
    while left:
        size = min(left, max(1, _BLOCK // rows))
        drawn = random.integers(rows, size=(size, rows), dtype=np.int64)
        yield sums(drawn, rows)
        left -= size


def sums(groups: Integers, size: int, weights: Floats | None = None) -> Floats:
    """The sum of weights [B, rows] (1 by default) of each of `size` groups, [B, size]; groups are [B, rows]."""
    blocks = len(groups) if weights is None else len(weights)
    places = (groups + size * np.arange(blocks)[:, None]).ravel()
    flat = None if weights is None else weights.ravel()
    return np.bincount(places, flat, minlength=blocks * size).reshape(blocks, size).astype(np.float64)


def ratio(above: NDArray[Any], below: NDArray[Any]) -> Floats:
    """`above / below`, 0 where nothing is divided by nothing."""
    found: Floats = np.divide(above, below, out=np.zeros(below.shape, dtype=np.float64), where=below > 0)
    return found


def figure(value: float) -> float:
    """Rounded to 6 significant digits: what is after them differs between machines."""
    return float(f"{value:.{_DIGITS}g}")


def figures(values: NDArray[Any]) -> list[float]:
    """The same of many."""
    return [figure(float(value)) for value in values]


def interval(value: float, samples: Floats) -> dict[str, float]:
    """A score with the middle 95 % of its resamples."""
    low, high = np.quantile(samples, [0.025, 0.975])
    return {"value": figure(value), "low": figure(float(low)), "high": figure(float(high))}
