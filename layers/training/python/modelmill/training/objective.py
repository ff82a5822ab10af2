"""What is learnt: the run's kind of answer in; targets, losses, scores and answers of a net's raw outputs out.

A net gives raw outputs float32 [B, K]: logits of classes or of tags, or one standardised measure. Only here does the
code know which; `Calibration` then turns raw outputs into the model's (temperature, or the measure's own unit).
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modelmill.core.errors import Rejected
from modelmill.core.model.spec import RunSpec
from modelmill.core.model.task import Answers, answers_of
from modelmill.training.rows import Rows
from modelmill.training.scores import best_scale

_STEPS = 8
"""A measure's spread in steps of float32: fewer, and rounding costs more than a thousandth of its variance."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The model's outputs are `raw * scale + shift`."""

    scale: float = 1.0
    shift: float = 0.0


class Objective(Protocol):
    """Losses and scores of raw outputs against targets. `measure` is the score that candidates are compared by."""

    answers: ClassVar[Answers]
    measure: ClassVar[str]
    activation: ClassVar[str]
    """The ONNX operator that turns calibrated outputs into answers."""
    answer: ClassVar[str]
    """The name of the model's output."""

    @property
    def outputs(self) -> int:
        """K."""

    def target(self, rows: Rows) -> Tensor:
        """What the loss takes: int64 [rows] of classes, float32 [rows, K] of tags, float32 [rows] standardised."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Mean loss of a batch, to be minimised."""

    def scores(self, raw: Tensor, target: Tensor) -> dict[str, float]:
        """Scores of uncalibrated outputs; `scores[measure]` is better when smaller."""

    def calibrate(self, raw: Tensor, target: Tensor) -> Calibration:
        """The calibration by rows that the net did not learn from."""

    def activate(self, outputs: Tensor) -> Tensor:
        """Answers of calibrated outputs: probabilities [B, K], or the measure [B, 1]."""


@dataclass(frozen=True, slots=True)
class Classes:
    """One class of several; `weights` [K] weigh the classes in the loss."""

    outputs: int
    weights: Tensor | None = None
    answers: ClassVar[Answers] = "classification"
    measure: ClassVar[str] = "log_loss"
    activation: ClassVar[str] = "Softmax"
    answer: ClassVar[str] = "probabilities"

    def target(self, rows: Rows) -> Tensor:
        """Class indices int64 [rows]."""
        return torch.from_numpy(rows.target)

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Cross entropy."""
        if self.weights is None:
            return functional.cross_entropy(raw, target)
        # Each row by its class: a mean over the weights of a batch would be another loss for every batch.
        losses = functional.cross_entropy(raw, target, reduction="none")
        return (losses * self.weights.to(raw.device, raw.dtype)[target]).mean()

    def scores(self, raw: Tensor, target: Tensor) -> dict[str, float]:
        """Log loss (nats) and accuracy."""
        return {
            "log_loss": float(functional.cross_entropy(raw.double(), target)),
            "accuracy": float((raw.argmax(dim=1) == target).double().mean()),
        }

    def calibrate(self, raw: Tensor, target: Tensor) -> Calibration:
        """Temperature scaling (Guo et al. 2017)."""
        return Calibration(best_scale(lambda outputs: functional.cross_entropy(outputs, target), raw))

    def activate(self, outputs: Tensor) -> Tensor:
        """Softmax."""
        return torch.softmax(outputs, dim=1)


@dataclass(frozen=True, slots=True)
class Tags:
    """Any number of tags, each for itself."""

    outputs: int
    answers: ClassVar[Answers] = "multilabel"
    measure: ClassVar[str] = "log_loss"
    activation: ClassVar[str] = "Sigmoid"
    answer: ClassVar[str] = "probabilities"

    def target(self, rows: Rows) -> Tensor:
        """0 or 1, float32 [rows, K]."""
        return torch.from_numpy(rows.target)

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Binary cross entropy, mean over tags."""
        return functional.binary_cross_entropy_with_logits(raw, target.to(raw.dtype))

    def scores(self, raw: Tensor, target: Tensor) -> dict[str, float]:
        """Log loss a tag, and micro F1 at 0.5."""
        chosen, truth = raw > 0, target > 0.5
        both = int(chosen.sum() + truth.sum())
        loss = functional.binary_cross_entropy_with_logits(raw.double(), target.double())
        return {"log_loss": float(loss), "micro_f1": 2 * int((chosen & truth).sum()) / both if both else 0.0}

    def calibrate(self, raw: Tensor, target: Tensor) -> Calibration:
        """One temperature for all tags."""
        truth = target.double()
        return Calibration(best_scale(lambda outputs: functional.binary_cross_entropy_with_logits(outputs, truth), raw))

    def activate(self, outputs: Tensor) -> Tensor:
        """A sigmoid each."""
        return torch.sigmoid(outputs)


@dataclass(frozen=True, slots=True)
class Measure:
    """A number. Nets learn it standardised: (value - `mean`) / `spread`."""

    mean: float
    spread: float
    outputs: int = 1
    answers: ClassVar[Answers] = "regression"
    measure: ClassVar[str] = "rmse"
    activation: ClassVar[str] = "Identity"
    answer: ClassVar[str] = "value"

    @classmethod
    def of(cls, values: np.ndarray) -> "Measure":
        """The scale of the training rows' values float64 [rows].

        Raises Rejected (`bad_target`) for values that float32, in which models answer, can hardly tell apart.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            varies = bool(np.ptp(values))
            spread = float(values.std()) if varies else 1.0
            step = float(np.spacing(np.float32(np.abs(values).max())))
        if varies and not spread >= _STEPS * step > 0:
            text = f"the target's values, of about {values[0]:.3g}, cannot be told apart in 32 bits"
            hint = "take the difference from a constant near them as the target, or another unit"
            raise Rejected("bad_target", text, hint=hint)
        return cls(float(values.mean()), spread)

    def target(self, rows: Rows) -> Tensor:
        """Standardised float32 [rows]."""
        return torch.from_numpy((rows.target - self.mean) / self.spread).float()

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Mean squared error."""
        return functional.mse_loss(raw.squeeze(1), target.to(raw.dtype))

    def scores(self, raw: Tensor, target: Tensor) -> dict[str, float]:
        """Root mean squared error in the target's unit, and the share of variance that is explained."""
        squared = float((raw.squeeze(1).double() - target.double()).square().mean())
        variance = float(target.double().var(correction=0))
        return {"rmse": squared**0.5 * self.spread, "r2": 1 - squared / variance if variance else 0.0}

    def calibrate(self, raw: Tensor, target: Tensor) -> Calibration:  # noqa: ARG002 - one way for all
        """Back into the target's unit."""
        return Calibration(self.spread, self.mean)

    def activate(self, outputs: Tensor) -> Tensor:
        """The number itself."""
        return outputs


def objective_of(spec: RunSpec, train: Rows | None = None) -> Objective:
    """What the run learns; a measure's scale and the weights of classes are those of the training rows.

    Without rows it is good for answers, not for learning.
    """
    answers = answers_of(spec.task)
    if answers == "regression":
        return Measure(0.0, 1.0) if train is None else Measure.of(train.target)
    if answers == "multilabel":
        return Tags(len(spec.labels))
    weights = None
    if train is not None and spec.recipe.training.class_weights == "balanced":
        found = np.maximum(np.bincount(train.target, minlength=len(spec.labels)), 1)
        weights = torch.from_numpy(len(train) / (len(found) * found))
    return Classes(len(spec.labels), weights)
