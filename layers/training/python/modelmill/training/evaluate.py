"""Answers of the untouched test rows in, metrics with 95 % intervals out (`metrics.json`).

Intervals are percentile bootstraps over rows (Efron and Tibshirani 1993, §13.3), seeded: no clock, no chance.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelmill.core.model.spec import RunSpec
from modelmill.serving.features import Arrays, Features
from modelmill.training.nets import Model
from modelmill.training.rows import Rows

RESAMPLES = 1_000
BATCH = 32
"""Rows at a time: a padded batch of the longest texts stays within tens of megabytes."""
_SMALLEST = 1e-12
Floats = NDArray[np.float64]
Answers = NDArray[np.float32]


class _Counts(NamedTuple):
    """Per class, [..., C]: rows rightly predicted, rows of the class, rows predicted as the class."""

    hits: NDArray[np.int64]
    support: NDArray[np.int64]
    predicted: NDArray[np.int64]


def batches(features: Features, rows: Rows) -> Iterator[Arrays]:
    """The arrays of the rows, BATCH at a time."""
    for start in range(0, len(rows), BATCH):
        yield features.arrays(rows.part(start, start + BATCH))


def answers_of_rows(model: Model, features: Features, rows: Rows) -> Answers:
    """The model's answers float32 [rows, K]: probabilities, or the measure."""
    return np.concatenate([model.answers(arrays).numpy() for arrays in batches(features, rows)])


def summary(scores: dict[str, Any]) -> str:
    """One line for people."""
    accuracy, majority = scores["accuracy"], scores["majority_baseline"]
    verdict = ": no better than always answering it" if is_no_better(scores) else ""
    return (
        f"accuracy {accuracy['value']:.4f} ({accuracy['low']:.4f} to {accuracy['high']:.4f}) "
        f"on {scores['test_rows']:,} test rows, majority class {majority:.4f}{verdict}"
    )


def is_no_better(scores: dict[str, Any]) -> bool:
    """True if balanced accuracy may be that of an answer without a look at the row: 1 / classes."""
    occurring = sum(row["support"] > 0 for row in scores["per_class"])
    return bool(
        scores["balanced_accuracy"]["low"] <= 1 / occurring and scores["accuracy"]["low"] <= scores["majority_baseline"]
    )


def metrics(answers: Answers, rows: Rows, spec: RunSpec) -> dict[str, Any]:
    """Scores of `answers` [rows, K] for the rows, rounded to 6 digits."""
    return classification(answers, rows.target, spec.labels, spec.recipe.seed)


def classification(probabilities: Answers, labels: NDArray[np.int64], names: list[str], seed: int) -> dict[str, Any]:
    """Scores of `probabilities` [rows, C] against class indices [rows], rounded to 6 digits.

    `balanced_accuracy` and `macro_f1` are means over the classes that occur.
    """
    classes = len(names)
    predicted = probabilities.argmax(axis=1).astype(np.int64)
    losses = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels].astype(np.float64), _SMALLEST))
    counts = _count(labels, predicted, classes)
    values = _scores(counts) | {"log_loss": losses.mean()}
    samples = _resampled(labels, predicted, losses, classes, seed)
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    return {
        "test_rows": len(labels),
        **{name: _interval(float(values[name]), samples[name]) for name in values},
        "majority_baseline": round(float(counts.support.max() / len(labels)), 6),
        "confusion": confusion.tolist(),
        "per_class": _per_class(counts, names),
    }


def _count(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> _Counts:
    return _Counts(
        np.bincount(labels[labels == predicted], minlength=classes),
        np.bincount(labels, minlength=classes),
        np.bincount(predicted, minlength=classes),
    )


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> Floats:
    """`above / below`, 0 where nothing is divided by nothing."""
    ratio: Floats = np.divide(above, below, out=np.zeros(below.shape, dtype=np.float64), where=below > 0)
    return ratio


def _scores(counts: _Counts) -> dict[str, Floats]:
    occurs, either = counts.support > 0, counts.support + counts.predicted
    recall = _ratio(counts.hits, counts.support)
    f1 = _ratio(2 * counts.hits, either)
    return {
        "accuracy": counts.hits.sum(-1) / counts.support.sum(-1),
        "balanced_accuracy": recall.sum(-1) / occurs.sum(-1),
        "macro_f1": f1.sum(-1) / (either > 0).sum(-1),
    }


def _resampled(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], losses: Floats, classes: int, seed: int
) -> dict[str, Floats]:
    random = np.random.default_rng(seed)
    drawn, log_losses = [], np.empty(RESAMPLES)
    for sample in range(RESAMPLES):
        rows = random.integers(len(labels), size=len(labels))
        drawn.append(_count(labels[rows], predicted[rows], classes))
        log_losses[sample] = losses[rows].mean()
    stacked = _Counts(*(np.stack(part) for part in zip(*drawn, strict=True)))
    return _scores(stacked) | {"log_loss": log_losses}


def _interval(value: float, samples: Floats) -> dict[str, float]:
    low, high = np.quantile(samples, [0.025, 0.975])
    return {"value": round(value, 6), "low": round(float(low), 6), "high": round(float(high), 6)}


def _per_class(counts: _Counts, names: list[str]) -> list[dict[str, Any]]:
    precision, recall = _ratio(counts.hits, counts.predicted), _ratio(counts.hits, counts.support)
    f1 = _ratio(2 * counts.hits, counts.support + counts.predicted)
    return [
        {
            "label": name,
            "precision": round(float(precision[index]), 6),
            "recall": round(float(recall[index]), 6),
            "f1": round(float(f1[index]), 6),
            "support": int(counts.support[index]),
        }
        for index, name in enumerate(names)
    ]
