"""The job that trains one candidate: rows and a family in; weights, preprocessing, validation outputs, scores out.

A candidate is measured on rows that its fit did not learn from: the validation rows, or each fold by the fit of the
others. Then it is fitted once more on all of them with what was chosen, and calibrated by those outputs.
"""

import time
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelmill.core.model.select import CandidateResult
from modelmill.training.families import family_of
from modelmill.training.folds import folds_of
from modelmill.training.nets import Net
from modelmill.training.objective import Calibration
from modelmill.training.rows import Rows
from modelmill.training.run import Run


class Trained(NamedTuple):
    """A trained candidate. `raw` [n, K] are outputs of rows `places` [n] (of training and validation rows) by fits
    that did not learn from them."""  # noqa: D205, D209

    preprocess: dict[str, Any]
    net: Net
    calibration: Calibration
    raw: Tensor
    places: NDArray[np.int64]
    result: CandidateResult


def train(rows: Rows, validation: Rows, run: Run) -> Trained:
    """Fit, measure, fit again on everything."""
    started, used = time.perf_counter(), time.process_time()
    family = family_of(run.candidate)
    whole = rows + validation
    folds = folds_of(rows, validation, run.spec)
    parts = _parts(run, len(folds))
    fits = [
        family.fit(whole.take(fold.learnt), whole.take(fold.held_out), part)
        for fold, part in zip(folds, parts[:-1], strict=True)
    ]
    again = family.refit(whole, [fit.settings for fit in fits], parts[-1])
    preprocess, net = again or (fits[0].preprocess, fits[0].net)
    places = np.concatenate([fold.held_out for fold in folds])
    raw = torch.cat([fit.raw for fit in fits]).float()
    target = run.objective.target(whole.take(places))
    scores = run.objective.scores(raw, target)
    calibration = run.objective.calibrate(raw, target)
    scale = 1.0 if run.objective.answers == "regression" else calibration.scale
    result = CandidateResult(
        candidate=run.candidate.name,
        family=run.candidate.family,
        measure=run.objective.measure,
        loss=run.objective.scores(raw * scale, target)[run.objective.measure],
        scores={name: value for name, value in scores.items() if name != run.objective.measure},
        rows=len(places),
        folds=len(folds),
        parameters=net.parameters_count(),
        train_seconds=round(time.perf_counter() - started, 3),
        cpu_seconds=round(time.process_time() - used, 3),
    )
    return Trained(preprocess, net.eval(), calibration, raw, places, result)


def _parts(run: Run, folds: int) -> list[Run]:
    """The run of each fold's fit and that of the last fit, all alike long."""
    names = [*(f"fold {fold + 1} of {folds}" if folds > 1 else "first fit" for fold in range(folds)), "all rows"]
    return [run.part(name, index / len(names), (index + 1) / len(names)) for index, name in enumerate(names)]
