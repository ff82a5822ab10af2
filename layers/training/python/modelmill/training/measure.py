"""A candidate and folds in; its fits and their outputs of rows that they did not learn from out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from modelmill.core.errors import ModelmillError, Rejected
from modelmill.training.families import Family, Fitted, family_of
from modelmill.training.folds import Fold, Places, names_of
from modelmill.training.losses import held_out_loss
from modelmill.training.rows import Rows
from modelmill.training.run import Run


class Measured(NamedTuple):
    """`raw` float32 [n, K] are the fits' outputs of the rows `places` [n]: each of those that it did not learn from."""

    fits: list[Fitted]
    places: Places
    raw: Tensor


def measure(
    rows: Rows, folds: Sequence[Fold], run: Run, then: Callable[[int, float], None] | None = None, *, refits: int = 1
) -> Measured:
    """Fit each fold and hear its rows; `then` learns the number of folds so far and their loss, and may raise.

    The time that is left is shared evenly among the fits, of which `refits` follow; once it is over, no fold begins.
    """
    family, names = family_of(run.candidate), names_of(folds)
    fits: list[Fitted] = []
    count = len(folds) + refits
    for index, (fold, name) in enumerate(zip(folds, names, strict=True)):
        part = in_time(run.part(name, index / count, (index + 1) / count), count - index)
        fits.append(_fit(family, rows, fold, part, name if len(folds) > 1 else None))
        if then:
            then(index + 1, _loss(rows, folds, fits, run))
        if run.late():
            break
    return Measured(fits, *_held_out(folds, fits))


def in_time(run: Run, fits: int) -> Run:
    """The run of the first of `fits` that share the time that is left."""
    if run.deadline is None:
        return run
    now = time.monotonic()
    return replace(run, deadline=now + (run.deadline - now) / fits)


def _fit(family: Family, rows: Rows, fold: Fold, run: Run, name: str | None) -> Fitted:
    """One fit; what stops it is told with the fold's name, if there are several."""
    try:
        return family.fit(rows.take(fold.learnt), rows.take(fold.held_out), run)
    except ModelmillError as error:
        if name is None:
            raise
        raise Rejected(error.code, f"{name}: {error.message}", limit=error.limit, hint=error.hint) from error
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if name is None:
            raise
        raise RuntimeError(f"{name}: {type(error).__name__}: {error}") from error


def _held_out(folds: Sequence[Fold], fits: Sequence[Fitted]) -> tuple[Places, Tensor]:
    places = np.concatenate([fold.held_out for fold in folds[: len(fits)]])
    return places, torch.cat([fit.raw for fit in fits]).float()


def _loss(rows: Rows, folds: Sequence[Fold], fits: Sequence[Fitted], run: Run) -> float:
    """The loss of the folds so far."""
    places, raw = _held_out(folds, fits)
    heard = Rows({}, rows.target[places])
    return held_out_loss(run.objective, raw, run.objective.target(heard), heard.target)
