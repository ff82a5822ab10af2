"""How well scores rank the rows of a class before the others: truth and scores in; areas, influences, curves out.

Rows with equal scores are taken together, so ties neither help nor harm. The influence of a row is the derivative of
an area by the row's weight: areas of resamples follow from it without sorting again (the infinitesimal jackknife,
Efron and Tibshirani 1993, §21; for the area under ROC it is DeLong et al. 1988).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelmill.training.evaluate.bootstrap import Floats, figures

_POINTS = 100


class Ranking(NamedTuple):
    """Area under ROC and average precision (area under precision and recall), and each row's influence [rows]."""

    roc_auc: float
    pr_auc: float
    roc_influence: Floats
    pr_influence: Floats


class _Steps(NamedTuple):
    """Rows by falling score, equal scores as one step: `order` of rows, the step of each, and counts after steps."""

    order: NDArray[np.int64]
    step: NDArray[np.int64]
    hits: Floats
    false: Floats


def rank(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> Ranking | None:
    """Areas of scores [rows] against truth [rows]; None where the rows are all of one kind."""
    if truth.all() or not truth.any():
        return None
    steps = _steps(truth, scores)
    roc, roc_influence = _roc(steps, truth)
    precision, pr_influence = _precision(steps, truth)
    return Ranking(roc, precision, roc_influence, pr_influence)


def resampled(rankings: Sequence[Ranking], weights: Floats) -> dict[str, Floats]:
    """Mean areas of rows that are weighted, [B, rows] → [B] each."""
    drawn = weights - 1
    roc = np.mean([each.roc_auc for each in rankings])
    roc = roc + drawn @ np.mean([each.roc_influence for each in rankings], axis=0)
    pr = np.mean([each.pr_auc for each in rankings])
    pr = pr + drawn @ np.mean([each.pr_influence for each in rankings], axis=0)
    return {"roc_auc": roc.clip(0, 1), "pr_auc": pr.clip(0, 1)}


def _steps(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> _Steps:
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    last = np.flatnonzero(np.r_[falling[1:] != falling[:-1], True])
    step = np.repeat(np.arange(len(last)), np.diff(last, prepend=-1))
    hits = np.cumsum(truth[order], dtype=np.float64)[last]
    return _Steps(order, step, hits, last + 1 - hits)


def _roc(steps: _Steps, truth: NDArray[np.bool_]) -> tuple[float, Floats]:
    positives, negatives = steps.hits[-1], steps.false[-1]
    # The share of the other kind that a row beats, half of those that it is equal to.
    above = (steps.hits + np.r_[0, steps.hits[:-1]]) / 2 / positives
    below = 1 - (steps.false + np.r_[0, steps.false[:-1]]) / 2 / negatives
    of_kind = truth[steps.order]
    beaten = np.where(of_kind, below[steps.step], above[steps.step])
    area = float(beaten[of_kind].mean())
    influence = np.empty(len(truth))
    influence[steps.order] = (beaten - area) / np.where(of_kind, positives, negatives)
    return area, influence


def _precision(steps: _Steps, truth: NDArray[np.bool_]) -> tuple[float, Floats]:
    positives, chosen = steps.hits[-1], steps.hits + steps.false
    precision, found = steps.hits / chosen, np.diff(steps.hits, prepend=0)
    area = float((found * precision).sum() / positives)
    # A row counts in the precision of its own step and of all after it.
    gain = np.cumsum((found / chosen)[::-1])[::-1][steps.step]
    loss = np.cumsum((found * precision / chosen)[::-1])[::-1][steps.step]
    of_kind = truth[steps.order]
    influence = np.empty(len(truth))
    influence[steps.order] = (of_kind * (precision[steps.step] - area + gain) - loss) / positives
    return area, influence


def curves(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> dict[str, list[list[float]]]:
    """`roc` (false and true positive rates) and `pr` (recall and precision), at most 100 points of each."""
    steps = _steps(truth, scores)
    recall, false = steps.hits / steps.hits[-1], steps.false / steps.false[-1]
    length = recall + false
    kept = np.unique(np.r_[np.searchsorted(length, np.linspace(0, 2, _POINTS - 1)), len(length) - 1])
    kept = kept[kept < len(length)]
    even = np.unique(np.searchsorted(recall, np.linspace(0, 1, _POINTS)).clip(max=len(recall) - 1))
    precision = steps.hits / (steps.hits + steps.false)
    return {
        "roc": [figures(np.r_[0, false[kept]].round(4)), figures(np.r_[0, recall[kept]].round(4))],
        "pr": [figures(recall[even].round(4)), figures(precision[even].round(4))],
    }
