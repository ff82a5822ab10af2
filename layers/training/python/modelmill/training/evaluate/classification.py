"""One class of several: probabilities and classes of the test rows in, scores, confusions and rows for each class out.

Scores are scikit-learn's of the same names. Macro means are over classes that occur (in rows or, for precision and
F1, in answers); areas are one class versus the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelmill.training.evaluate.bootstrap import Floats, Integers, bootstrap, figure, ratio, sums
from modelmill.training.evaluate.calibration import calibration, uncalibrated
from modelmill.training.evaluate.ranking import Ranking, curves, rank, resampled

MATRIX_CLASSES = 30
"""Up to so many classes the confusion matrix is written down, and a curve of each; of more, the worst pairs."""
_PAIRS, _WORST, _CURVES = 50, 20, 10
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Judged:
    """Probabilities [rows, C] beside class indices int64 [rows] of `names`."""

    probabilities: NDArray[np.floating]
    labels: Integers
    names: list[str]

    @cached_property
    def predicted(self) -> Integers:
        """The most probable class of each row, int64 [rows]."""
        found: Integers = self.probabilities.argmax(axis=1).astype(np.int64)
        return found

    @cached_property
    def right(self) -> Floats:
        """1 where the answer is right, [rows]."""
        found: Floats = (self.labels == self.predicted).astype(np.float64)
        return found

    @cached_property
    def losses(self) -> Floats:
        """Log loss (nats) of each row."""
        return losses(self.probabilities, self.labels)

    @cached_property
    def ranks(self) -> list[Ranking | None]:
        """How each class is ranked before the rest."""
        return [rank(self.labels == place, self.probabilities[:, place]) for place in range(len(self.names))]

    def statistic(self, weights: Floats) -> Mapping[str, Floats]:
        """Scores of weighted rows [B, rows]."""
        size, rows = len(self.names), weights.sum(axis=1)
        support, predicted = sums(self.labels[None], size, weights), sums(self.predicted[None], size, weights)
        hits = sums(self.labels[None], size, weights * self.right)
        either = (support + predicted > 0).sum(axis=1)
        recall = ratio(hits, support)
        scores = {
            "accuracy": hits.sum(axis=1) / rows,
            "balanced_accuracy": recall.sum(axis=1) / (support > 0).sum(axis=1),
            "macro_f1": ratio(2 * hits, support + predicted).sum(axis=1) / either,
            "macro_precision": ratio(hits, predicted).sum(axis=1) / either,
            "macro_recall": recall.sum(axis=1) / either,
            "log_loss": weights @ self.losses / rows,
            "brier": weights @ brier(self.probabilities, self.labels) / rows,
        }
        return scores | self._areas(weights)

    def _areas(self, weights: Floats) -> dict[str, Floats]:
        found = [ranking for ranking in self.ranks if ranking]
        if len(self.names) == 2:
            found = found[1:]
        return resampled(found, weights) if found else {}


def losses(probabilities: NDArray[np.floating], labels: Integers) -> Floats:
    """-log of the probability of each row's class, [rows]."""
    found: Floats = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels].astype(np.float64), _SMALLEST))
    return found


def brier(probabilities: NDArray[np.floating], labels: Integers) -> Floats:
    """Squared distance from the truth of each row, over all classes; of two classes, that of one."""
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    squared = np.square(probabilities, dtype=np.float64).sum(axis=1) - 2 * own + 1
    halves: Floats = squared / 2 if probabilities.shape[1] == 2 else squared
    return halves


def classification(judged: Judged, seed: int, scale: float = 1.0) -> dict[str, Any]:
    """Scores with intervals, and what they are made of; `scale` is what logits were multiplied by to calibrate."""
    shares = np.bincount(judged.labels, minlength=len(judged.names)) / len(judged.labels)
    occurring = shares[shares > 0]
    scores = bootstrap(judged.statistic, len(judged.labels), seed).intervals()
    return {
        **scores,
        "headline": [
            name for name in ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss") if name in scores
        ],
        "majority_baseline": figure(float(shares.max())),
        "baseline": {
            "answer": judged.names[int(shares.argmax())],
            "accuracy": figure(float(shares.max())),
            "balanced_accuracy": figure(1 / len(occurring)),
            "macro_f1": figure(float(2 * shares.max() / (1 + shares.max())) / len(occurring)),
            "roc_auc": 0.5,
            "log_loss": figure(float(-(occurring * np.log(occurring)).sum())),
        },
        **({"positive": judged.names[1]} if len(judged.names) == 2 else {}),
        "per_class": _per_class(judged),
        **_confusion(judged),
        "calibration": _calibration(judged, seed, scale),
        "curves": _curves(judged),
        "worst": _worst(judged),
    }


def _per_class(judged: Judged) -> list[dict[str, Any]]:
    size = len(judged.names)
    support, predicted = np.bincount(judged.labels, minlength=size), np.bincount(judged.predicted, minlength=size)
    hits = np.bincount(judged.labels[judged.right > 0], minlength=size)
    precision, recall = ratio(hits, predicted), ratio(hits, support)
    f1 = ratio(2 * hits, support + predicted)
    return [
        {
            "label": name,
            "precision": figure(precision[place]),
            "recall": figure(recall[place]),
            "f1": figure(f1[place]),
            "support": int(support[place]),
            **areas(judged.ranks[place]),
        }
        for place, name in enumerate(judged.names)
    ]


def areas(ranking: Ranking | None) -> dict[str, float]:
    """Both areas of a class, if it has any."""
    return {"roc_auc": figure(ranking.roc_auc), "pr_auc": figure(ranking.pr_auc)} if ranking else {}


def _confusion(judged: Judged) -> dict[str, Any]:
    """The matrix (a row is the truth) of a few classes, and of any number the pairs that are confused most."""
    size = len(judged.names)
    wrong = judged.right == 0
    pairs, counts = np.unique(judged.labels[wrong] * size + judged.predicted[wrong], return_counts=True)
    listed = [
        {
            "truth": judged.names[pairs[place] // size],
            "answer": judged.names[pairs[place] % size],
            "rows": int(counts[place]),
        }
        for place in np.argsort(-counts, kind="stable")[:_PAIRS]
    ]
    if size > MATRIX_CLASSES:
        return {"confused": listed}
    cells = np.bincount(judged.labels * size + judged.predicted, minlength=size * size)
    return {"confusion": cells.reshape(size, size).tolist(), "confused": listed}


def _calibration(judged: Judged, seed: int, scale: float) -> dict[str, Any]:
    found = calibration(judged.probabilities.max(axis=1), judged.right, seed)
    if scale == 1.0:
        return found
    before = uncalibrated(judged.probabilities, scale, "classification")
    return found | {
        "before": {
            "ece": calibration(before.max(axis=1), judged.right, seed)["ece"],
            "log_loss": figure(float(losses(before, judged.labels).mean())),
        },
        "temperature": figure(1 / scale),
    }


def _curves(judged: Judged) -> list[dict[str, Any]]:
    """Of two classes that of the second, else those of the most frequent classes."""
    places = np.argsort(-np.bincount(judged.labels, minlength=len(judged.names)), kind="stable")[:_CURVES]
    chosen = [1] if len(judged.names) == 2 else sorted(int(place) for place in places)
    return [
        {"label": judged.names[place], **curves(judged.labels == place, judged.probabilities[:, place])}
        for place in chosen
        if judged.ranks[place]
    ]


def _worst(judged: Judged) -> list[dict[str, Any]]:
    """Rows (by number, from 0) that were most surely answered wrongly."""
    wrong = np.flatnonzero(judged.right == 0)
    sure = judged.probabilities[wrong, judged.predicted[wrong]]
    return [
        {
            "row": int(row),
            "truth": judged.names[judged.labels[row]],
            "answer": judged.names[judged.predicted[row]],
            "probability": figure(float(judged.probabilities[row, judged.predicted[row]])),
        }
        for row in wrong[np.argsort(-sure, kind="stable")[:_WORST]]
    ]
