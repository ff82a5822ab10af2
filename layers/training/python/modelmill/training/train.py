"""The job that trains one candidate: rows and a family in; weights, preprocessing, held-out outputs, scores out.

A candidate is measured on rows that its fit did not learn from: the validation rows, or each fold by the fit of the
others. Then it is fitted once more on all of them with what was chosen, and calibrated by those outputs. A nested
measure does all of this, choice and calibration too, inside each outer fold, whose rows then measure the whole of it.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelmill.core.errors import Rejected
from modelmill.core.model.budget import seconds_of_job
from modelmill.core.model.select import CandidateResult
from modelmill.core.model.spec import Candidate
from modelmill.serving.features import Features
from modelmill.training.evaluate import batches
from modelmill.training.families import family_of
from modelmill.training.folds import Fold, Places, Plan, deal, names_of, plan_of
from modelmill.training.losses import calibrated, interval, loss_of, row_losses
from modelmill.training.measure import Measured, in_time, measure
from modelmill.training.nets import Net
from modelmill.training.objective import Calibration
from modelmill.training.rows import Rows
from modelmill.training.run import Run

_LOOK = 64
"""So many rows tell whether a net still gives numbers."""


class Trained(NamedTuple):
    """A trained candidate. `raw` [n, K] are outputs of rows `places` [n] (of training and validation rows) by fits
    that did not learn from them, and `target` what is true of those rows."""  # noqa: D205, D209

    preprocess: dict[str, Any]
    net: Net
    calibration: Calibration
    raw: Tensor
    places: Places
    target: NDArray[Any]
    result: CandidateResult


class Learnt(NamedTuple):
    """What a candidate makes of some rows; `candidate` has the hyperparameters that trials chose, if there were any."""

    preprocess: dict[str, Any]
    net: Net
    calibration: Calibration
    measured: Measured
    candidate: Candidate
    trials: int | None


def train(rows: Rows, validation: Rows, run: Run) -> Trained:
    """Choose, measure, learn from everything, within the job's share of the budget.

    Raises Rejected (`diverged`) where what was learnt gives no numbers.
    """
    started, used = time.perf_counter(), time.process_time()
    run = _with_deadline(run)
    costly = bool(getattr(family_of(run.candidate), "costly", False))
    plan, whole = plan_of(rows, validation, run.spec, costly=costly), rows + validation
    if plan.method == "nested":
        outputs, places, last = _nested(whole, plan, run)
        learnt = learn(whole, plan.folds, last)
        raw = ((outputs - learnt.calibration.shift) / learnt.calibration.scale).float()
    else:
        learnt = learn(whole, plan.folds, run)
        raw, places = learnt.measured.raw, learnt.measured.places
    if not _outputs(learnt, whole.take(np.arange(min(len(whole), _LOOK)))).isfinite().all():
        hint = "say a lower training.learning_rate, or bound the gradient by training.clip"
        raise Rejected("diverged", f"{run.candidate.name}: the training diverged: it answers no numbers", hint=hint)
    target = whole.target[places]
    result = _result(run, plan, learnt, raw, target).model_copy(
        update={
            "train_seconds": round(time.perf_counter() - started, 3),
            "cpu_seconds": round(time.process_time() - used, 3),
        }
    )
    return Trained(learnt.preprocess, learnt.net.eval(), learnt.calibration, raw, places, target, result)


def learn(rows: Rows, folds: Sequence[Fold], run: Run) -> Learnt:
    """Let trials choose if the candidate has a study, measure on the folds, and fit all rows by what was chosen."""
    trials = None
    if run.candidate.study is None:
        measured = measure(rows, folds, run)
    else:
        from modelmill.training.search import search  # late: optuna is only needed here

        found = search(rows, folds, run)
        run, measured, trials = replace(run, candidate=found.candidate), found.measured, found.trials
    fits = measured.fits
    # Out of time, the first fit has to do.
    again = None
    if not run.late():
        last = run.part("all rows", len(folds) / (len(folds) + 1), 1.0)
        again = family_of(run.candidate).refit(rows, [fit.settings for fit in fits], last)
    preprocess, net = again or (fits[0].preprocess, fits[0].net)
    target = run.objective.target(Rows({}, rows.target[measured.places]))
    return Learnt(preprocess, net, run.objective.calibrate(measured.raw, target), measured, run.candidate, trials)


def _nested(rows: Rows, plan: Plan, run: Run) -> tuple[Tensor, Places, Run]:
    """Calibrated outputs of each outer fold's rows by what was learnt of the others; and the run of what is left."""
    outputs, count = [], len(plan.folds) + 1
    for index, (fold, name) in enumerate(zip(plan.folds, names_of(plan.folds), strict=True)):
        part = in_time(run.part(f"outer {name}", index / count, (index + 1) / count), count - index)
        inside = rows.take(fold.learnt)
        inner = deal(inside, run.spec, run.spec.recipe.selection.folds)
        learnt = learn(inside, inner or [Fold(np.arange(len(inside)), np.arange(len(inside)))], part)
        outputs.append(calibrated(learnt.calibration, _outputs(learnt, rows.take(fold.held_out))))
    last = run.part("all rows", (count - 1) / count, 1.0)
    return torch.cat(outputs), np.concatenate([fold.held_out for fold in plan.folds]), last


@torch.no_grad()
def _outputs(learnt: Learnt, rows: Rows) -> Tensor:
    """Raw outputs float32 [rows, K] of rows, the way they are served."""
    features, net = Features(learnt.preprocess), learnt.net.eval()
    found = [
        net(**{name: torch.from_numpy(array) for name, array in arrays.items()}) for arrays in batches(features, rows)
    ]
    return torch.cat(found)


def _result(run: Run, plan: Plan, learnt: Learnt, raw: Tensor, target: NDArray[Any]) -> CandidateResult:
    objective, chosen = run.objective, learnt.candidate
    losses = row_losses(objective.answers, calibrated(learnt.calibration, raw), target)
    scores = objective.scores(raw, objective.target(Rows({}, target)))
    return CandidateResult(
        candidate=chosen.name,
        family=chosen.family,
        measure=objective.measure,
        loss=loss_of(objective.answers, losses),
        interval=interval(objective.answers, losses, run.seed),
        scores={name: value for name, value in scores.items() if name != objective.measure},
        rows=len(target),
        folds=len(plan.folds) if plan.method == "nested" else len(learnt.measured.fits),
        method=plan.method,
        settings={name: chosen.hyperparameters[name] for name in chosen.search},
        trials=learnt.trials,
        study=chosen.study,
        parameters=learnt.net.parameters_count(),
    )


def _with_deadline(run: Run) -> Run:
    """The run with its job's share of the recipe's budget."""
    seconds = seconds_of_job(run.spec.recipe, len(run.spec.candidates))
    return run if seconds is None else replace(run, deadline=time.monotonic() + seconds)
