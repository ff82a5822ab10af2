"""Answers of the untouched test rows in, `metrics.json` out: scores with 95 % intervals, and what could flatter them.

Every score stands beside that of a constant answer and of how the candidate was chosen. Equal answers give equal
bytes: no clock, no chance; nothing in it quotes a row but its number, the truth and the answer.

`classification`, `multilabel` and `regression` score the three kinds of answers; `bootstrap` makes intervals,
`ranking` areas, `calibration` looks at probabilities, `slices` at parts of the rows, `doubts` warns; `compare` sets a
model against the one that serves now.
"""

from typing import Any

import numpy as np

from modelmill.core.model.spec import RunSpec
from modelmill.core.model.task import answers_of
from modelmill.training.evaluate.answers import Answers, answered, answers_of_rows, batches
from modelmill.training.evaluate.bootstrap import figure
from modelmill.training.evaluate.classification import Judged, classification
from modelmill.training.evaluate.doubts import doubts, is_no_better
from modelmill.training.evaluate.evidence import Evidence
from modelmill.training.evaluate.multilabel import Tagged, multilabel
from modelmill.training.evaluate.regression import Measured, regression
from modelmill.training.evaluate.slices import RowScores, slices
from modelmill.training.rows import Rows

__all__ = ["Answers", "Evidence", "answered", "answers_of_rows", "batches", "is_no_better", "metrics", "summary"]
TITLES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "macro_precision": "Macro precision",
    "macro_recall": "Macro recall",
    "micro_f1": "Micro F1",
    "micro_precision": "Micro precision",
    "micro_recall": "Micro recall",
    "subset_accuracy": "All tags of a row right",
    "roc_auc": "Area under ROC",
    "pr_auc": "Area under precision and recall",
    "log_loss": "Log loss (nats)",
    "brier": "Brier score",
    "r2": "Explained variance (R²)",
    "rmse": "Root mean squared error",
    "mae": "Mean absolute error",
    "median_error": "Median absolute error",
    "mape": "Mean absolute error, share of the truth",
    "mean_error": "Mean error (answer − truth)",
}
"""Scores that have an interval, in words, in the order in which they are shown."""


def metrics(answers: Answers, rows: Rows, spec: RunSpec, evidence: Evidence | None = None) -> dict[str, Any]:
    """Scores of `answers` [rows, K] for the rows, rounded to 6 significant digits; JSON without NaN."""
    evidence = evidence or Evidence()
    kind, seed = answers_of(spec.task), spec.recipe.seed
    if kind == "regression":
        measured = Measured(answers[:, 0].astype(np.float64), rows.target)
        scores = regression(measured, seed)
        of_rows = RowScores("mae", np.abs(measured.errors), is_share=False, is_better_high=False)
    elif kind == "multilabel":
        tagged = Tagged(answers, rows.target, spec.labels)
        scores = multilabel(tagged, seed, evidence.scale)
        of_rows = RowScores("row_f1", tagged.row_f1, is_share=True, is_better_high=True)
    else:
        judged = Judged(answers, rows.target, spec.labels)
        scores = classification(judged, seed, evidence.scale)
        of_rows = RowScores("accuracy", judged.right, is_share=True, is_better_high=True)
    found = {"answers": kind, "test_rows": len(rows), **scores}
    found |= {"slice_measure": of_rows.measure, "slices": slices(evidence.columns, of_rows)}
    if evidence.selection and evidence.selection.loss is not None:
        found["selection"] = {
            "measure": evidence.selection.measure,
            "value": figure(evidence.selection.loss),
            "rows": evidence.selection.rows,
            "folds": evidence.selection.folds,
        }
    return found | {"warnings": doubts(found, evidence.selection)}


def summary(scores: dict[str, Any]) -> str:
    """One line for people."""
    name = scores["headline"][0]
    score, baseline = scores[name], scores["baseline"][name]
    against = {
        "classification": f"majority class {baseline:.4f}",
        "multilabel": f"the most frequent tags {baseline:.4f}",
        "regression": f"root mean squared error {scores.get('rmse', score)['value']:.4g}, "
        f"that of the mean {scores['baseline'].get('rmse', 0):.4g}",
    }[scores["answers"]]
    verdict = ": no better than that" if is_no_better(scores) else ""
    title = TITLES[name][:1].lower() + TITLES[name][1:]
    return (
        f"{title} {score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f}) "
        f"on {scores['test_rows']:,} test rows, {against}{verdict}"
    )
