"""Reasons to doubt good figures, or not to trust them at all: an evaluation in, warnings in plain words out."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelmill.core.model.select import CandidateResult

_FEW_ROWS, _FEW_OF_CLASS = 100, 10
_COMMON, _RATIO = 0.8, 20
_PERFECT, _PERFECT_ROWS = 0.999, 50
_GAP = 1.1
_DISHONEST = 0.03
_NAMED = 5
Scores = Mapping[str, Any]


def is_no_better(scores: Scores) -> bool:
    """True if the test rows do not show that the model is better than an answer without a look at the row."""
    baseline = scores["baseline"]
    if scores["answers"] == "regression":
        return bool(scores["r2"]["low"] <= 0)
    if scores["answers"] == "multilabel":
        return bool(scores["micro_f1"]["low"] <= baseline["micro_f1"])
    return bool(
        scores["balanced_accuracy"]["low"] <= baseline["balanced_accuracy"]
        and scores["accuracy"]["low"] <= baseline["accuracy"]
    )


def doubts(scores: Scores, selection: CandidateResult | None) -> list[dict[str, str]]:
    """Warnings `{"code", "message"}`, the gravest first."""
    found = [
        ("no_better", _no_better(scores)),
        ("too_good", _too_good(scores)),
        ("gap", _gap(scores, selection)),
        ("few_test_rows", _few_rows(scores)),
        ("absent_classes", _absent(scores)),
        ("few_rows_of_class", _few_of_class(scores)),
        ("imbalanced", _imbalanced(scores)),
        ("uncalibrated", _uncalibrated(scores)),
        ("weak_slices", _weak(scores)),
    ]
    return [{"code": code, "message": message} for code, message in found if message]


def _no_better(scores: Scores) -> str | None:
    what = {
        "classification": "always giving the most frequent class",
        "multilabel": "always giving the most frequent tags",
        "regression": "always giving the mean",
    }[scores["answers"]]
    return f"the test rows do not show that the model is better than {what}" if is_no_better(scores) else None


def _too_good(scores: Scores) -> str | None:
    name = {"classification": "accuracy", "multilabel": "micro_f1", "regression": "r2"}[scores["answers"]]
    if scores[name]["value"] < _PERFECT or scores["test_rows"] < _PERFECT_ROWS:
        return None
    return (
        "nearly every test row is right: look for an input that gives the answer away, or for copies of training rows"
    )


def _gap(scores: Scores, selection: CandidateResult | None) -> str | None:
    measured = scores.get(selection.measure) if selection else None
    if selection is None or selection.loss is None or measured is None:
        return None
    before, name = selection.loss, selection.measure.replace("_", " ").replace("rmse", "root mean squared error")
    if measured["low"] > before and measured["value"] > _GAP * before:
        return (
            f"the {name} is {measured['value']:.4g} on the test rows but was {before:.4g} on the rows that the model "
            "was chosen by: the test rows differ from those, or the choice fitted them by chance"
        )
    return None


def _few_rows(scores: Scores) -> str | None:
    rows = scores["test_rows"]
    return f"{rows:,} test rows say little: mind the width of the intervals" if rows < _FEW_ROWS else None


def _absent(scores: Scores) -> str | None:
    absent = [row["label"] for row in scores.get("per_class", ()) if not row["support"]]
    return f"without any test row, so not judged: {_named(absent)}" if absent else None


def _few_of_class(scores: Scores) -> str | None:
    few = [row["label"] for row in scores.get("per_class", ()) if 0 < row["support"] < _FEW_OF_CLASS]
    return f"with fewer than {_FEW_OF_CLASS} test rows, so hardly judged: {_named(few)}" if few else None


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(name[: _NAMED * 8] for name in names[:_NAMED]) + more


def _imbalanced(scores: Scores) -> str | None:
    if scores["answers"] != "classification":
        return None
    counts = [row["support"] for row in scores["per_class"] if row["support"]]
    if len(counts) < 2 or (max(counts) < _COMMON * sum(counts) and max(counts) < _RATIO * min(counts)):
        return None
    return (
        f"the classes have {min(counts):,} to {max(counts):,} test rows: accuracy is mostly that of the large ones; "
        "look at balanced accuracy and at each class"
    )


def _uncalibrated(scores: Scores) -> str | None:
    found = scores.get("calibration")
    if not found or found["ece"] <= found["ece_by_chance"] + _DISHONEST:
        return None
    return (
        f"probabilities are off by {found['ece']:.3f} on average, more than chance explains "
        f"({found['ece_by_chance']:.3f}): do not read them as shares"
    )


def _weak(scores: Scores) -> str | None:
    weak = [f"{one['column']}: {one['value']}" for one in scores.get("slices", ()) if one["weak"]]
    return f"clearly worse than on all rows where {'; '.join(weak[:3])}" if weak else None
