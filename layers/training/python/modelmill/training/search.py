"""A candidate with ranges and the folds in; the best of many trials out (Optuna: Akiba et al. 2019).

Trials are drawn by TPE (Bergstra et al. 2011), the first is the family's own defaults, and those that are not among the
best third after a fold (or some epochs, where there is one fold) end there: successive halving (Li et al. 2020). Jobs
of one study share the journal of its trials, in the registry's table: each trial is drawn in sight of all others.
"""

import glob
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import Trial, TrialState

from modelmill.aws.records import studies
from modelmill.core.errors import ModelmillError, Rejected
from modelmill.core.model.recipe import Range
from modelmill.core.model.spec import Candidate
from modelmill.training.families import family_of
from modelmill.training.folds import Fold
from modelmill.training.measure import Measured, measure
from modelmill.training.rows import Rows
from modelmill.training.run import Run

_SHARE = 0.8
"""Of the time, for trials; the rest is for the fit of all rows."""
_KEPT = 3
"""One of so many trials goes on."""
_FIRST_EPOCHS = 3
"""No trial is judged before."""


class Found(NamedTuple):
    """The candidate with the best hyperparameters, its fits, and how many trials the study made."""

    candidate: Candidate
    measured: Measured
    trials: int


def search(rows: Rows, folds: Sequence[Fold], run: Run) -> Found:
    """Make this job's trials of the study, until all are made or the time is over, and give the best of them.

    A job that made none (others were faster, or an instance was lost) measures the study's best once more. Raises
    Rejected (`no_trial`) with the first cause if every trial failed, `bad_candidate` for a range of nothing.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    count, now = run.spec.recipe.search.trials, time.monotonic()
    in_trials = run if run.deadline is None else replace(run, deadline=now + _SHARE * (run.deadline - now))
    trials = _Trials(rows, folds, in_trials)
    study = _study(run, len(folds))
    space = {name: _distribution(values) for name, values in run.candidate.search.items()}
    while not (in_trials.late() and trials.best):
        trial = study.ask(space)
        if trial.number >= count:
            study.tell(trial, state=TrialState.FAIL)  # another job drew the last one
            break
        study.tell(trial, *trials.outcome(trial))
    made = sum(trial.state.is_finished() for trial in study.trials[:count])
    candidate, measured = trials.best or _again(study, trials, run)
    return Found(candidate, measured, made)


def _study(run: Run, folds: int) -> optuna.Study:
    """The study, which the first job to come creates; each job draws from its own chance."""
    candidate, spec = run.candidate, run.spec
    family = family_of(candidate)
    unknown = [name for name in candidate.search if not hasattr(family, name)]
    if unknown:
        raise Rejected("bad_candidate", f"{candidate.name}: {candidate.family} has no {unknown[0]!r} to search")
    name = f"{candidate.study}/{run.name}"
    worker = int(candidate.name.removeprefix(candidate.study or "").strip(".") or 1)
    study = optuna.create_study(
        study_name=name,
        storage=JournalStorage(_Journal(spec.tenant, spec.run_id, name)),
        sampler=TPESampler(seed=run.seed + worker),
        pruner=SuccessiveHalvingPruner(min_resource=1 if folds > 1 else _FIRST_EPOCHS, reduction_factor=_KEPT),
        load_if_exists=True,
    )
    if worker == 1:
        defaults = {name: getattr(family, name) for name in candidate.search}
        inside = {name: value for name, value in defaults.items() if _holds(candidate.search[name], value)}
        study.enqueue_trial(inside, skip_if_exists=True)
    return study


@dataclass(slots=True)
class _Trials:
    """Makes trials; keeps the best of this job, and why others failed."""

    rows: Rows
    folds: Sequence[Fold]
    run: Run
    loss: float = math.inf
    best: tuple[Candidate, Measured] | None = None
    causes: list[str] = field(default_factory=list)

    def outcome(self, trial: Trial) -> tuple[float | None, TrialState]:
        """One trial, to its end, or to where it is no longer among the best third; one that fails leaves its cause."""
        candidate, count = _with(self.run.candidate, trial.params), self.run.spec.recipe.search.trials
        part = self.run.part(f"trial {trial.number + 1} of {count}", trial.number / count, (trial.number + 1) / count)
        part = replace(part, candidate=candidate, history=[])
        try:
            measured, loss = self._measure(part, trial)
        except optuna.TrialPruned:
            return None, TrialState.PRUNED
        except Exception as error:  # noqa: BLE001 - the trial's boundary: whatever stopped it, the other trials go on
            said = error.message if isinstance(error, ModelmillError) else f"{type(error).__name__}: {error}"
            self.causes.append(said)
            return None, TrialState.FAIL
        finally:
            for path in part.checkpoints.path.parent.glob(f"{glob.escape(part.checkpoints.path.stem)}.*"):
                path.unlink()
        if not math.isfinite(loss):
            self.causes.append("the training diverged")
            return None, TrialState.FAIL
        whole = len(measured.fits) == len(self.folds)
        if self.best is None or (whole and loss < self.loss):
            self.loss, self.best = loss if whole else math.inf, (candidate, measured)
        return (loss, TrialState.COMPLETE) if whole else (None, TrialState.PRUNED)

    def _measure(self, part: Run, trial: Trial) -> tuple[Measured, float]:
        """The fits of a trial and their loss; raises TrialPruned after a fold, or an epoch of the only one."""
        losses: list[float] = []

        def watch(step: int, loss: float) -> None:
            trial.report(loss, step)
            if trial.should_prune():
                raise optuna.TrialPruned

        def heard(fold: int, loss: float) -> None:
            losses.append(loss)
            if fold < len(self.folds):
                watch(fold, loss)

        part = replace(part, watch=watch if len(self.folds) == 1 else None)
        return measure(self.rows, self.folds, part, heard, refits=0), losses[-1]


def _again(study: optuna.Study, trials: _Trials, run: Run) -> tuple[Candidate, Measured]:
    """The study's best, measured here."""
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    if not complete:
        causes = trials.causes or ["every trial was stopped, or its job was"]
        raise Rejected("no_trial", f"no trial of {run.candidate.study} could be trained: {causes[0]}")
    best = min(complete, key=lambda trial: (trial.value or 0.0, trial.number))
    candidate = _with(run.candidate, best.params)
    return candidate, measure(trials.rows, trials.folds, replace(run, candidate=candidate))


class _Journal(studies.Journal, BaseJournalBackend):
    """The records' journal, as Optuna asks for it."""


def _with(candidate: Candidate, chosen: Mapping[str, Any]) -> Candidate:
    return candidate.model_copy(update={"hyperparameters": candidate.hyperparameters | dict(chosen)})


def _distribution(values: Range) -> BaseDistribution:
    """The range as Optuna's; the recipe has checked that it has either choices or both bounds."""
    if values.choices is not None:
        return CategoricalDistribution(values.choices)
    low, high = values.low or 0, values.high or 0
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=values.log)
    return FloatDistribution(low, high, log=values.log)


def _holds(values: Range, value: Any) -> bool:
    if values.choices is not None:
        return value in values.choices
    return isinstance(value, int | float) and (values.low or 0) <= value <= (values.high or 0)
