"""A measure: answers and truth of the test rows in; errors in the target's unit, explained variance, residuals out."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from modelmill.training.evaluate.bootstrap import (
    Floats,
    bootstrap,
    figure,
    figures,
    interval,
    ratio,
    resamples,
)

_BINS, _POINTS, _PARTS, _WORST = 30, 400, 10, 20
_NEAR_ZERO = 0.01
"""Errors in per cent make no sense where a target is below this share of the usual size: they would be all of it."""


@dataclass(frozen=True)
class Measured:
    """Answers [rows] beside the truth [rows]."""

    answers: Floats
    truth: Floats

    @cached_property
    def errors(self) -> Floats:
        """Answer minus truth, [rows]."""
        return self.answers - self.truth

    @cached_property
    def has_shares(self) -> bool:
        """True if errors may be told in per cent: all targets are on one side of 0, and none is close to it."""
        sizes = np.abs(self.truth)
        one_side = bool((self.truth > 0).all() or (self.truth < 0).all())
        return one_side and bool(sizes.min() >= _NEAR_ZERO * np.median(sizes))

    def statistic(self, weights: Floats) -> Mapping[str, Floats]:
        """Scores of weighted rows [B, rows]."""
        rows, centred = weights.sum(axis=1), self.truth - self.truth.mean()
        squared = weights @ self.errors**2 / rows
        variance = weights @ centred**2 / rows - (weights @ centred / rows) ** 2
        shares = {}
        if self.has_shares:
            shares["mape"] = weights @ np.abs(self.errors / self.truth) / rows
        return {
            "rmse": np.sqrt(squared),
            "mae": weights @ np.abs(self.errors) / rows,
            "r2": np.where(variance > 0, 1 - ratio(squared, variance), 0.0),
            "mean_error": weights @ self.errors / rows,
            **shares,
        }


def regression(measured: Measured, seed: int) -> dict[str, Any]:
    """Scores with intervals, and what they are made of."""
    scores = bootstrap(measured.statistic, len(measured.truth), seed).intervals()
    scores["median_error"] = _median(np.abs(measured.errors), seed)
    truth = measured.truth
    return {
        **scores,
        "headline": [name for name in ("r2", "rmse", "mae", "median_error", "mape") if name in scores],
        "baseline": {
            "answer": figure(float(truth.mean())),
            "rmse": figure(float(truth.std())),
            "mae": figure(float(np.abs(truth - np.median(truth)).mean())),
            "r2": 0.0,
        },
        "target": dict(
            zip(
                ("least", "low", "median", "high", "most"),
                figures(np.quantile(truth, [0, 0.05, 0.5, 0.95, 1])),
                strict=True,
            )
        ),
        "residuals": _histogram(measured.errors),
        "points": _points(measured),
        "parts": _parts(measured),
        "worst": _worst(measured),
    }


def _median(sizes: Floats, seed: int) -> dict[str, float]:
    """The median of resamples is an order statistic, whose rank is that of the middle of so many uniform numbers."""
    rows = len(sizes)
    middle = (rows + 1) // 2
    drawn = np.random.default_rng(seed).beta(middle, rows + 1 - middle, size=resamples(rows))
    places = np.minimum((drawn * rows).astype(np.int64), rows - 1)
    return interval(float(np.median(sizes)), np.sort(sizes)[places])


def _histogram(errors: Floats) -> dict[str, Any]:
    """Rows by error; of the far tails, a hundredth each, only how many."""
    low, high = np.quantile(errors, [0.01, 0.99])
    edges = np.linspace(low, high, _BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])
    counts, _ = np.histogram(errors, edges)
    return {
        "edges": figures(edges),
        "counts": counts.tolist(),
        "below": int((errors < edges[0]).sum()),
        "above": int((errors > edges[-1]).sum()),
    }


def _points(measured: Measured) -> list[list[float]]:
    """Truth and answer of evenly spaced rows, for a picture."""
    rows = np.unique(np.linspace(0, len(measured.truth) - 1, _POINTS).astype(np.int64))
    return [[figure(float(measured.truth[row])), figure(float(measured.answers[row]))] for row in rows]


def _parts(measured: Measured) -> list[dict[str, Any]]:
    """Errors by tenths of the truth: where the measure is small, where it is large."""
    order = np.argsort(measured.truth, kind="stable")
    return [
        {
            "from": figure(float(measured.truth[rows].min())),
            "to": figure(float(measured.truth[rows].max())),
            "rows": len(rows),
            "mae": figure(float(np.abs(measured.errors[rows]).mean())),
            "mean_error": figure(float(measured.errors[rows].mean())),
        }
        for rows in np.array_split(order, min(_PARTS, len(order)))
    ]


def _worst(measured: Measured) -> list[dict[str, Any]]:
    """Rows (by number, from 0) with the largest errors."""
    return [
        {
            "row": int(row),
            "truth": figure(float(measured.truth[row])),
            "answer": figure(float(measured.answers[row])),
        }
        for row in np.argsort(-np.abs(measured.errors), kind="stable")[:_WORST]
    ]
