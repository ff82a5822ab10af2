"""Linear models with one minimum: sparse rows, targets and a penalty per column in, weights [F + 1, K] out.

For classes it is logistic regression (multinomial, or of one logit where there are two), for tags one such for each,
for a measure ridge regression; penalties mean what they mean in scikit-learn. It runs in float64 on the CPU, also where
there is a GPU: a fit takes seconds and stays the same bit by bit.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from modelmill.training.lbfgs import minimise
from modelmill.training.logistic import SparseRows
from modelmill.training.objective import Classes, Objective

Link = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Raw outputs [n, C] to the summed loss and its gradient [n, C]."""


def fit(
    rows: SparseRows,
    objective: Objective,
    target: Tensor,
    l2: Tensor,
    start: Tensor | None = None,
    *,
    tolerance: float = 1e-5,
) -> Tensor:
    """Least loss of all rows + ½ Σ l2 · weight², as weights [F, K] and, in the last row, the bias, which is free.

    `target` is the objective's, `l2` [F] a penalty for each column; `start`, a solution for other penalties, makes this
    one quicker. `tolerance` is of the gradient of the mean loss.
    """
    count, width = rows.matrix.shape
    link, columns = _link(objective, target)
    penalties = l2.double()[:, None] / count

    def loss(flat: Tensor) -> tuple[float, Tensor]:
        weights = flat.view(width + 1, columns)
        total, error = link(rows.matrix @ weights[:-1] + weights[-1])
        error = error / count
        gradient = torch.cat([rows.transposed @ error + weights[:-1] * penalties, error.sum(0, keepdim=True)])
        return float(total / count + (weights[:-1].square() * penalties).sum() / 2), gradient.flatten()

    if start is None:
        start = torch.zeros(width + 1, columns, dtype=torch.float64)
    elif columns < start.shape[1]:
        start = start[:, 1:] - start[:, :1]
    found = minimise(loss, start.flatten(), iterations=150 if tolerance >= 1e-5 else 2_000, tolerance=tolerance)
    weights = found.view(width + 1, columns)
    return torch.cat([-weights / 2, weights / 2], dim=1) if columns < objective.outputs else weights


def _link(objective: Objective, target: Tensor) -> tuple[Link, int]:
    """The loss of raw outputs, and how many outputs a row has in it."""
    if objective.answers == "regression":
        wanted = target.double()[:, None]
        return lambda raw: ((raw - wanted).square().sum() / 2, raw - wanted), 1
    weights = torch.ones(1, 1, dtype=torch.float64)
    if isinstance(objective, Classes):
        if objective.weights is not None:
            weights = objective.weights.double()[target][:, None]
        if objective.outputs > 2:
            return _softmax(functional.one_hot(target, objective.outputs).double(), weights), objective.outputs
        target = target[:, None]
    truth = target.double()

    def sigmoid(raw: Tensor) -> tuple[Tensor, Tensor]:
        losses = functional.softplus(raw) - truth * raw
        return (losses * weights).sum(), (torch.sigmoid(raw) - truth) * weights

    return sigmoid, truth.shape[1]


def _softmax(truth: Tensor, weights: Tensor) -> Link:
    def softmax(raw: Tensor) -> tuple[Tensor, Tensor]:
        logarithms = torch.log_softmax(raw, dim=1)
        return -(logarithms * truth * weights).sum(), (logarithms.exp() - truth) * weights

    return softmax


def predict(rows: SparseRows, weights: Tensor) -> Tensor:
    """Raw outputs float64 [rows, K]."""
    return rows.matrix @ weights[:-1] + weights[-1]
