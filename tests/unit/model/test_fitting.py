"""The numerical parts: logistic regression."""

import torch
from torch.nn import functional

from modelmill.training.lbfgs import minimise
from modelmill.training.logistic import SparseRows, fit, predict
from modelmill.training.scores import best_scale


def test_lbfgs_finds_the_minimum_of_a_stretched_bowl() -> None:
    scales = torch.logspace(0, 4, 20, dtype=torch.float64)

    def bowl(point: torch.Tensor) -> tuple[float, torch.Tensor]:
        return float((scales * (point - 1).square()).sum() / 2), scales * (point - 1)

    found = minimise(bowl, torch.zeros(20, dtype=torch.float64), iterations=500, tolerance=1e-9)
    assert torch.allclose(found, torch.ones(20, dtype=torch.float64), atol=1e-8)


def _dense(rows: int, width: int) -> tuple[torch.Tensor, SparseRows]:
    torch.manual_seed(1)
    dense = torch.randn(rows, width, dtype=torch.float64) * (torch.rand(rows, width) < 0.3)
    taken = dense != 0
    ids = taken.nonzero()[:, 1]
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), taken.sum(1).cumsum(0)])
    return dense, SparseRows.of(ids, dense[taken], offsets, width)


def test_logistic_regression_on_sparse_rows_ends_where_the_dense_gradient_is_zero() -> None:
    dense, sparse = _dense(200, 12)
    labels = torch.randint(0, 3, (200,))
    weights = fit(sparse, labels, 3, l2=2.0)
    free = weights.clone().requires_grad_()
    loss = functional.cross_entropy(dense @ free[:-1] + free[-1], labels) + free[:-1].square().sum() * 2.0 / 200 / 2
    torch.autograd.backward(loss)
    assert free.grad is not None
    assert float(free.grad.norm()) < 1e-4
    assert torch.allclose(predict(sparse, weights), dense @ weights[:-1] + weights[-1])


def test_other_values_take_the_same_places() -> None:
    dense, sparse = _dense(50, 6)
    columns = torch.arange(1.0, 7.0, dtype=torch.float64)
    scaled = sparse.valued((dense * columns)[dense != 0])
    assert torch.allclose(scaled.matrix.to_dense(), dense * columns)
    assert torch.allclose(scaled.transposed.to_dense(), (dense * columns).T)


def test_the_temperature_undoes_overconfidence_and_leaves_few_rows_alone() -> None:
    torch.manual_seed(2)
    labels = torch.randint(0, 2, (2_000,))
    honest = torch.stack([labels * 0.0, (labels * 2.0 - 1) + torch.randn(2_000)], dim=1)

    def loss(raw: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(raw, labels[: len(raw)])

    factor = best_scale(loss, honest * 2)
    assert loss(honest * 2 * factor) <= loss(honest * 2)
    assert factor < best_scale(loss, honest)
    assert best_scale(loss, honest[:100] * 9) == 1.0
