"""Any number of tags: probabilities and tags of the test rows in, scores and a row for each tag out.

A tag is given where its probability is at least 0.5, as it is when the model is served. Macro means are over tags that
occur in rows or answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelmill.serving.answers import TAG_THRESHOLD
from modelmill.training.evaluate.bootstrap import Floats, bootstrap, figure, ratio
from modelmill.training.evaluate.calibration import calibration, uncalibrated
from modelmill.training.evaluate.classification import areas
from modelmill.training.evaluate.ranking import Ranking, curves, rank, resampled

_CURVES, _WORST = 10, 20
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Tagged:
    """Probabilities [rows, K] beside tags [rows, K] of 0 and 1."""

    probabilities: NDArray[np.floating]
    tags: NDArray[Any]
    names: list[str]

    @cached_property
    def truth(self) -> NDArray[np.bool_]:
        """Tags that rows have, [rows, K]."""
        return np.asarray(self.tags > 0.5)

    @cached_property
    def chosen(self) -> NDArray[np.bool_]:
        """Tags that were given, [rows, K]."""
        return np.asarray(self.probabilities >= TAG_THRESHOLD)

    @cached_property
    def losses(self) -> Floats:
        """Log loss (nats) a tag, mean over tags, of each row."""
        return losses(self.probabilities, self.truth)

    @cached_property
    def row_f1(self) -> Floats:
        """F1 of each row's tags; 1 where there are none and none was given."""
        both = self.truth.sum(axis=1) + self.chosen.sum(axis=1)
        return np.where(both > 0, ratio(2 * (self.truth & self.chosen).sum(axis=1), both), 1.0)

    @cached_property
    def ranks(self) -> list[Ranking | None]:
        """How the rows of each tag are ranked before the others."""
        return [rank(self.truth[:, place], self.probabilities[:, place]) for place in range(len(self.names))]

    def statistic(self, weights: Floats) -> Mapping[str, Floats]:
        """Scores of weighted rows [B, rows]."""
        rows = weights.sum(axis=1)
        hits = weights @ (self.truth & self.chosen).astype(np.float64)
        support, given = weights @ self.truth.astype(np.float64), weights @ self.chosen.astype(np.float64)
        occurring = np.maximum((support + given > 0).sum(axis=1), 1)
        exact = (self.truth == self.chosen).all(axis=1).astype(np.float64)
        scores = {
            "micro_f1": ratio(2 * hits.sum(axis=1), (support + given).sum(axis=1)),
            "macro_f1": ratio(2 * hits, support + given).sum(axis=1) / occurring,
            "micro_precision": ratio(hits.sum(axis=1), given.sum(axis=1)),
            "micro_recall": ratio(hits.sum(axis=1), support.sum(axis=1)),
            "subset_accuracy": weights @ exact / rows,
            "log_loss": weights @ self.losses / rows,
        }
        found = [ranking for ranking in self.ranks if ranking]
        if found:
            scores |= resampled(found, weights)
        return scores


def losses(probabilities: NDArray[np.floating], truth: NDArray[np.bool_]) -> Floats:
    """Binary cross entropy, mean over tags, of each row."""
    said = np.where(truth, probabilities, 1 - probabilities.astype(np.float64))
    found: Floats = -np.log(np.maximum(said, _SMALLEST)).mean(axis=1)
    return found


def multilabel(tagged: Tagged, seed: int, scale: float = 1.0) -> dict[str, Any]:
    """Scores with intervals, and what they are made of; `scale` is what logits were multiplied by to calibrate."""
    scores = bootstrap(tagged.statistic, len(tagged.tags), seed).intervals()
    names = ("micro_f1", "macro_f1", "subset_accuracy", "roc_auc", "log_loss")
    found = calibration(tagged.probabilities.ravel(), tagged.truth.ravel(), seed)
    if scale != 1.0:
        before = uncalibrated(tagged.probabilities, scale, "multilabel")
        found |= {
            "before": {
                "ece": calibration(before.ravel(), tagged.truth.ravel(), seed)["ece"],
                "log_loss": figure(float(losses(before, tagged.truth).mean())),
            },
            "temperature": figure(1 / scale),
        }
    places = np.argsort(-tagged.truth.sum(axis=0), kind="stable")[:_CURVES]
    return {
        **scores,
        "headline": [name for name in names if name in scores],
        "baseline": _baseline(tagged),
        "per_class": _per_tag(tagged),
        "calibration": found,
        "curves": [
            {"label": tagged.names[place], **curves(tagged.truth[:, place], tagged.probabilities[:, place])}
            for place in sorted(int(place) for place in places)
            if tagged.ranks[place]
        ],
        "worst": _worst(tagged),
    }


def _baseline(tagged: Tagged) -> dict[str, Any]:
    """Scores of always giving the same tags: those that make micro F1 best."""
    rows, support = len(tagged.truth), tagged.truth.sum(axis=0)
    order = np.argsort(-support, kind="stable")
    given = np.arange(1, len(order) + 1)
    micro = 2 * np.cumsum(support[order]) / (rows * given + support.sum())
    best = order[: int(micro.argmax()) + 1]
    shares = support / rows
    inner = shares[(shares > 0) & (shares < 1)]
    entropy = -(inner * np.log(inner) + (1 - inner) * np.log(1 - inner)).sum() / len(shares)
    constant = np.isin(np.arange(len(order)), best)
    return {
        "answer": [tagged.names[place] for place in sorted(best.tolist())][:_CURVES],
        "micro_f1": figure(float(micro.max())),
        "macro_f1": figure(float((2 * shares[best] / (1 + shares[best])).sum() / max(1, int((support > 0).sum())))),
        "subset_accuracy": figure(float((tagged.truth == constant).all(axis=1).mean())),
        "roc_auc": 0.5,
        "log_loss": figure(float(entropy)),
    }


def _per_tag(tagged: Tagged) -> list[dict[str, Any]]:
    hits, support = (tagged.truth & tagged.chosen).sum(axis=0), tagged.truth.sum(axis=0)
    given = tagged.chosen.sum(axis=0)
    precision, recall, f1 = ratio(hits, given), ratio(hits, support), ratio(2 * hits, support + given)
    return [
        {
            "label": name,
            "precision": figure(precision[place]),
            "recall": figure(recall[place]),
            "f1": figure(f1[place]),
            "support": int(support[place]),
            **areas(tagged.ranks[place]),
        }
        for place, name in enumerate(tagged.names)
    ]


def _worst(tagged: Tagged) -> list[dict[str, Any]]:
    """Rows (by number, from 0) whose tags are least probable to the model."""
    wrong = np.flatnonzero((tagged.truth != tagged.chosen).any(axis=1))
    order = wrong[np.argsort(-tagged.losses[wrong], kind="stable")[:_WORST]]

    def named(row: NDArray[np.bool_]) -> list[str]:
        return [tagged.names[place] for place in np.flatnonzero(row)]

    return [{"row": int(row), "truth": named(tagged.truth[row]), "answer": named(tagged.chosen[row])} for row in order]
