"""Multinomial logistic regression on sparse rows: features and classes in, weights [F, C] and bias [C] out.

Runs in float64 on the CPU, also where there is a GPU: the fit takes seconds and stays the same bit by bit.
"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from modelmill.training.lbfgs import minimise


@dataclass(frozen=True, slots=True)
class SparseRows:
    """A sparse matrix [rows, F] and its transpose, both CSR and float64, so that both products are quick."""

    matrix: Tensor
    transposed: Tensor

    @classmethod
    def of(cls, ids: Tensor, values: Tensor, offsets: Tensor, width: int) -> "SparseRows":
        """Row i has `values[offsets[i]:offsets[i + 1]]` in the columns `ids[...]`, each column at most once."""
        rows = len(offsets) - 1
        row_of = torch.repeat_interleave(torch.arange(rows), offsets.diff())
        order = torch.argsort(ids, stable=True)
        starts = torch.zeros(width + 1, dtype=torch.int64)
        starts[1:] = torch.cumsum(torch.bincount(ids, minlength=width), 0)
        values = values.double()
        return cls(_csr(offsets, ids, values, (rows, width)), _csr(starts, row_of[order], values[order], (width, rows)))

    def scaled(self, columns: Tensor) -> "SparseRows":
        """The matrix with each column multiplied by its entry of `columns` [F]."""
        rows, width = self.matrix.shape
        ids, offsets = self.matrix.col_indices(), self.matrix.crow_indices()
        repeated = torch.repeat_interleave(columns, self.transposed.crow_indices().diff())
        return SparseRows(
            _csr(offsets, ids, self.matrix.values() * columns[ids], (rows, width)),
            _csr(
                self.transposed.crow_indices(),
                self.transposed.col_indices(),
                self.transposed.values() * repeated,
                (width, rows),
            ),
        )


def _csr(offsets: Tensor, ids: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(offsets, ids, values, shape, check_invariants=False)


def fit(rows: SparseRows, labels: Tensor, classes: int, l2: float, start: Tensor | None = None) -> Tensor:
    """Weights and, in the last row, the bias [F + 1, C]: least mean log loss + l2 / (2 · rows) · |weights|².

    `start` is the solution for another l2, which makes the next one quicker.
    """
    count, width = rows.matrix.shape
    targets = functional.one_hot(labels, classes).double()

    def loss(flat: Tensor) -> tuple[float, Tensor]:
        weights = flat.view(width + 1, classes)
        log_probabilities = torch.log_softmax(rows.matrix @ weights[:-1] + weights[-1], dim=1)
        error = (log_probabilities.exp() - targets) / count
        gradient = torch.cat([rows.transposed @ error + weights[:-1] * (l2 / count), error.sum(0, keepdim=True)])
        value = -(log_probabilities * targets).sum() / count + weights[:-1].square().sum() * (l2 / count / 2)
        return float(value), gradient.flatten()

    if start is None:
        start = torch.zeros(width + 1, classes, dtype=torch.float64)
    return minimise(loss, start.flatten()).view(width + 1, classes)


def predict(rows: SparseRows, weights: Tensor) -> Tensor:
    """Logits [rows, C]."""
    return rows.matrix @ weights[:-1] + weights[-1]
