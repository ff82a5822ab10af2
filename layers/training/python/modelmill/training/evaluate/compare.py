"""The new model against the one that serves now: answers of both to the same test rows in, who is better out.

Differences have paired bootstrap intervals (the same resamples for both); rows that only one of two classifiers gets
right are counted by McNemar's exact test (1947). What comes out depends on what serves at the moment, so it is kept
beside the package and not in it.
"""

from math import exp, lgamma, log
from pathlib import Path
from typing import Any

import numpy as np

from modelmill.aws.records import models
from modelmill.core.errors import ModelmillError
from modelmill.core.model.spec import RunSpec
from modelmill.core.model.task import answers_of
from modelmill.serving import packages
from modelmill.serving.model import Model as Served
from modelmill.training.evaluate.answers import Answers
from modelmill.training.evaluate.bootstrap import Floats, Statistic, bootstrap, figure, interval
from modelmill.training.evaluate.classification import Judged
from modelmill.training.evaluate.evidence import columns_of
from modelmill.training.evaluate.multilabel import Tagged
from modelmill.training.evaluate.regression import Measured
from modelmill.training.rows import Rows

_MOST_BYTES = 4 * 2**30
_COMPARED = {
    "classification": ("accuracy", "balanced_accuracy", "macro_f1", "log_loss"),
    "multilabel": ("micro_f1", "macro_f1", "subset_accuracy", "log_loss"),
    "regression": ("rmse", "mae", "r2"),
}
_SMALLER_IS_BETTER = {"log_loss", "rmse", "mae"}
_VALUES = {"label": "classification", "labels": "multilabel", "value": "regression"}


def champion_of(spec: RunSpec) -> dict[str, Any] | None:
    """The record of the version that gets most of the model's traffic, or None if nothing serves."""
    model = models.get(spec.tenant, spec.model)
    weights = ((model or {}).get("route") or {}).get("weights") or {}
    if not weights:
        return None
    return models.get_version(spec.tenant, spec.model, max(weights, key=lambda version: (weights[version], version)))


def against_champion(answers: Answers, rows: Rows, spec: RunSpec, folder: Path) -> dict[str, Any] | None:
    """How `answers` [rows, K] to the test rows compare with the champion's; None without a champion.

    `folder` has the test split. A champion that cannot answer these rows is named with the reason why not.
    """
    record = champion_of(spec)
    if record is None:
        return None
    same_data = (record["dataset"], record["dataset_version"]) == (spec.dataset, spec.dataset_version)
    found = {"version": record["version"], "digest": record["digest"], "may_have_seen_test_rows": not same_data}
    try:
        theirs, kept = _answers(record, rows, spec, folder)
    except ModelmillError as error:
        return found | {"skipped": error.message}
    return found | compare(answers, theirs, rows, spec, kept)


def _answers(record: dict[str, Any], rows: Rows, spec: RunSpec, folder: Path) -> tuple[Answers, bool]:
    """The champion's answers in the run's order of classes, and whether it knows the very same classes."""
    with packages.verified(spec.tenant, record["digest"], _MOST_BYTES) as package:
        served = Served(package)
        if _VALUES[served.answers.word] != answers_of(spec.task):
            raise ModelmillError("other_task", "it gives another kind of answer")
        names = [field.name for field in served.fields]
        columns = dict(columns_of(folder, "test", spec, names))
        if missing := [name for name in names if name not in columns]:
            raise ModelmillError("other_inputs", f"it reads {missing[0]!r}, which these rows do not have")
        scores = served.scores({name: cells[:] for name, cells in columns.items()})
    if not spec.labels:
        return scores, True
    known = {label: place for place, label in enumerate(served.answers.labels)}
    if not set(known) & set(spec.labels):
        raise ModelmillError("other_classes", "it knows none of these classes")
    aligned = np.zeros((len(rows), len(spec.labels)), dtype=np.float32)
    for place, label in enumerate(spec.labels):
        if label in known:
            aligned[:, place] = scores[:, known[label]]
    return aligned, set(known) == set(spec.labels)


def compare(ours: Answers, theirs: Answers, rows: Rows, spec: RunSpec, same_classes: bool = True) -> dict[str, Any]:
    """Scores of both, ours minus theirs with intervals, and a `verdict`: better, worse or even."""
    kind = answers_of(spec.task)
    mine, other = _statistic(ours, rows, spec), _statistic(theirs, rows, spec)
    names = [name for name in _COMPARED[kind] if same_classes or name != "log_loss"]

    def both(weights: Floats) -> dict[str, Floats]:
        first, second = mine(weights), other(weights)
        return {f"{side} {name}": one[name] for name in names for side, one in (("ours", first), ("theirs", second))}

    drawn = bootstrap(both, len(rows), spec.recipe.seed)
    scores = []
    for name in names:
        values = [drawn.values[f"{side} {name}"] for side in ("ours", "theirs")]
        samples = drawn.samples[f"ours {name}"] - drawn.samples[f"theirs {name}"]
        difference = interval(values[0] - values[1], samples)
        scores.append({"name": name, "ours": figure(values[0]), "theirs": figure(values[1]), "difference": difference})
    found: dict[str, Any] = {"verdict": _verdict(scores[0]), "scores": scores, "same_classes": same_classes}
    if kind == "classification":
        found["mcnemar"] = _mcnemar(ours, theirs, rows)
    return found


def _statistic(answers: Answers, rows: Rows, spec: RunSpec) -> Statistic:
    kind = answers_of(spec.task)
    if kind == "regression":
        return Measured(answers[:, 0].astype(np.float64), rows.target).statistic
    if kind == "multilabel":
        return Tagged(answers, rows.target, spec.labels).statistic
    return Judged(answers, rows.target, spec.labels).statistic


def _verdict(score: dict[str, Any]) -> str:
    low, high = score["difference"]["low"], score["difference"]["high"]
    if low <= 0 <= high:
        return "even"
    return "better" if (low > 0) != (score["name"] in _SMALLER_IS_BETTER) else "worse"


def _mcnemar(ours: Answers, theirs: Answers, rows: Rows) -> dict[str, Any]:
    """Rows that only one side gets right, and how probable so uneven a share is if both are equally good."""
    right, other = (answers.argmax(axis=1) == rows.target for answers in (ours, theirs))
    only_ours, only_theirs = int((right & ~other).sum()), int((other & ~right).sum())
    return {"only_ours": only_ours, "only_theirs": only_theirs, "p": figure(sign_test(only_ours, only_theirs))}


def sign_test(first: int, second: int) -> float:
    """Two-sided exact probability of a share at least as uneven among so many throws of a coin."""
    throws = first + second
    chances = (
        exp(lgamma(throws + 1) - lgamma(heads + 1) - lgamma(throws - heads + 1) - throws * log(2))
        for heads in range(min(first, second) + 1)
    )
    return min(1.0, 2 * sum(chances))
