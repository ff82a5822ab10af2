"""Linear models on sparse rows: features and targets in, weights [F, K] and bias [K] out.

Classes by multinomial logistic regression, tags by one logistic regression each, a measure by ridge regression. Targets
may be soft: shares of classes, probabilities of tags. Runs in float64 on the CPU, also where there is a GPU: the fit
takes seconds and stays the same bit by bit.
"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from modelmill.core.model.task import Answers
from modelmill.training.lbfgs import Function, minimise
from modelmill.training.objective import Classes, Objective

_ROUGH, _STEPS, _MANY_STEPS = 1e-5, 150, 2_000
"""Up to this tolerance so many steps are enough; finer ones may take many."""


@dataclass(frozen=True, slots=True)
class SparseRows:
    """A sparse matrix [rows, F] and its transpose, both CSR and float64, so that both products are quick.

    `order` sorts the values of the one into those of the other.
    """

    matrix: Tensor
    transposed: Tensor
    order: Tensor

    @classmethod
    def of(cls, ids: Tensor, values: Tensor, offsets: Tensor, width: int) -> "SparseRows":
        """Row i has `values[offsets[i]:offsets[i + 1]]` in the columns `ids[...]`, each column at most once."""
        rows = len(offsets) - 1
        row_of = torch.repeat_interleave(torch.arange(rows, dtype=torch.int32), offsets.diff())
        order = torch.argsort(ids, stable=True)
        starts = torch.zeros(width + 1, dtype=torch.int64)
        starts[1:] = torch.cumsum(torch.bincount(ids, minlength=width), 0)
        values = values.double()
        return cls(
            _csr(offsets, ids, values, (rows, width)),
            _csr(starts, row_of[order], values[order], (width, rows)),
            order,
        )

    def valued(self, values: Tensor) -> "SparseRows":
        """The matrix with other values in the same places."""
        values = values.double()
        matrix, transposed = self.matrix, self.transposed
        return SparseRows(
            _csr(matrix.crow_indices(), matrix.col_indices(), values, matrix.shape),
            _csr(transposed.crow_indices(), transposed.col_indices(), values[self.order], transposed.shape),
            self.order,
        )


def _csr(offsets: Tensor, ids: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """With indices of 32 bits: those of 64 are converted anew for every product."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(offsets.int(), ids.int(), values, shape, check_invariants=False)


def fit(
    rows: SparseRows,
    target: Tensor,
    outputs: int,
    l2: float | Tensor,
    start: Tensor | None = None,
    *,
    answers: Answers = "classification",
    row_weights: Tensor | None = None,
    tolerance: float = 1e-5,
    decrease: float = 0.0,
) -> Tensor:
    """Weights and, in the last row, the bias [F + 1, K]: least mean loss + Σ l2 / (2 · rows) · weights².

    `l2` is one penalty, or one for each column [F]. `target` is int64 [rows] of classes, or what the outputs should be,
    [rows, K] ([rows] for a measure). `start` is the solution for another l2, which makes the next one quicker.
    `row_weights` [rows] weigh the losses. It ends where the gradient is within `tolerance`, or early where a few steps
    lessen the loss by no more than the share `decrease`.
    """
    wanted = functional.one_hot(target, outputs) if target.dtype == torch.int64 else target.view(-1, outputs)
    halves = answers == "classification" and outputs == 2
    if halves:
        # The difference of two classes' outputs says all; half of it to each is what the penalty would give.
        wanted, l2, answers = wanted[:, 1:], l2 / 2, "multilabel"
        start = None if start is None else start[:, 1:] - start[:, :1]
    if start is None:
        start = torch.zeros(rows.matrix.shape[1] + 1, wanted.shape[1], dtype=torch.float64)
    loss = _loss_of(rows, wanted.double(), l2, answers, row_weights)
    steps = _STEPS if tolerance >= _ROUGH else _MANY_STEPS
    found = minimise(loss, start.flatten(), iterations=steps, tolerance=tolerance, decrease=decrease)
    solution = found.view(start.shape)
    return torch.cat([-solution / 2, solution / 2], dim=1) if halves else solution


def fit_objective(  # noqa: PLR0917 - rows and what they should say, then how
    rows: SparseRows,
    objective: Objective,
    target: Tensor,
    l2: Tensor,
    start: Tensor | None = None,
    tolerance: float = _ROUGH,
) -> Tensor:
    """The same for an objective and its target, with its class weights; `l2` [F] mean what they mean in scikit-learn.

    There two classes have one output, whose weights are penalised: twice what each of ours is.
    """
    weights = objective.weights if isinstance(objective, Classes) else None
    two = isinstance(objective, Classes) and objective.outputs == 2
    return fit(
        rows,
        target,
        objective.outputs,
        l2 * 2 if two else l2,
        start,
        answers=objective.answers,
        row_weights=None if weights is None else weights[target],
        tolerance=tolerance,
    )


def _loss_of(
    rows: SparseRows, wanted: Tensor, l2: float | Tensor, answers: Answers, row_weights: Tensor | None
) -> Function:
    """Value and gradient at flat weights."""
    count, width = rows.matrix.shape
    penalties = torch.as_tensor(l2, dtype=torch.float64).view(-1, 1) / count
    share = (wanted.new_ones(count) if row_weights is None else row_weights.double())[:, None] / count

    def loss(flat: Tensor) -> tuple[float, Tensor]:
        weights = flat.view(width + 1, -1)
        losses, error = _LOSSES[answers](rows.matrix @ weights[:-1] + weights[-1], wanted)
        error = error * share
        gradient = torch.cat([rows.transposed @ error + weights[:-1] * penalties, error.sum(0, keepdim=True)])
        value = (losses * share).sum() + (weights[:-1].square() * penalties).sum() / 2
        return float(value), gradient.flatten()

    return loss


def _softmax(raw: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    log_probabilities = torch.log_softmax(raw, dim=1)
    return -log_probabilities * wanted, log_probabilities.exp() * wanted.sum(1, keepdim=True) - wanted


def _sigmoid(raw: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    losses = functional.binary_cross_entropy_with_logits(raw, wanted, reduction="none")
    return losses, torch.sigmoid(raw) - wanted


def _square(raw: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    error = raw - wanted
    return error.square() / 2, error


_LOSSES = {"classification": _softmax, "multilabel": _sigmoid, "regression": _square}
"""Losses [rows, K] of raw outputs, and their derivatives."""


def predict(rows: SparseRows, weights: Tensor) -> Tensor:
    """Raw outputs [rows, K]."""
    return rows.matrix @ weights[:-1] + weights[-1]
