"""How candidates are compared: calibrated outputs and what is true in; losses, intervals and differences of losses out.

Log loss a row (a proper score; of tags, their mean) or the square of an error, of which the root of the mean is told.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from modelmill.core.model.task import Answers
from modelmill.training.evaluate.bootstrap import bootstrap
from modelmill.training.objective import Calibration, Objective

Floats = NDArray[np.float64]


class Difference(NamedTuple):
    """How much greater the first of two losses is, and its 95 % interval: by resamples of rows that both answered."""

    value: float
    low: float
    high: float


def row_losses(answers: Answers, outputs: Tensor, target: NDArray[Any]) -> Floats:
    """The loss of each row, float64 [n], of calibrated outputs [n, K] and the rows' target (`Rows.target`)."""
    outputs, truth = outputs.double(), torch.from_numpy(target)
    if answers == "classification":
        losses = functional.cross_entropy(outputs, truth, reduction="none")
    elif answers == "multilabel":
        losses = functional.binary_cross_entropy_with_logits(outputs, truth.double(), reduction="none").mean(dim=1)
    else:
        losses = (outputs.squeeze(1) - truth).square()
    found: Floats = losses.numpy()
    return found


def loss_of(answers: Answers, losses: Floats) -> float:
    """The loss of all rows: the mean, or the root mean square in the target's unit."""
    return float(_whole(answers, losses.mean()))


def held_out_loss(objective: Objective, raw: Tensor, target: Tensor, values: NDArray[Any]) -> float:
    """The loss of uncalibrated outputs [n, K] once they are calibrated; `target` is the objective's of the `values`."""
    return loss_of(
        objective.answers, row_losses(objective.answers, calibrated(objective.calibrate(raw, target), raw), values)
    )


def calibrated(calibration: Calibration, raw: Tensor) -> Tensor:
    """The model's outputs, float64."""
    return raw.double() * calibration.scale + calibration.shift


def interval(answers: Answers, losses: Floats, seed: int) -> tuple[float, float] | None:
    """95 % of the loss by bootstrap over rows; None for a candidate that diverged."""
    if not np.isfinite(losses).all():
        return None
    drawn = bootstrap(lambda weights: {"loss": _whole(answers, weights @ losses / len(losses))}, len(losses), seed)
    found = drawn.intervals()["loss"]
    return found["low"], found["high"]


def difference(answers: Answers, first: Floats, second: Floats, seed: int) -> Difference:
    """Of two losses on the same rows."""

    def statistic(weights: Floats) -> dict[str, Floats]:
        means = weights @ np.stack([first, second], axis=1) / len(first)
        return {"difference": _whole(answers, means[:, 0]) - _whole(answers, means[:, 1])}

    return Difference(**bootstrap(statistic, len(first), seed).intervals()["difference"])


def _whole(answers: Answers, means: Any) -> Any:
    return np.sqrt(means) if answers == "regression" else means
