"""The numerical parts: vocabulary, logistic regression, metrics."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from modelmill.core.errors import Rejected
from modelmill.core.model.tokens import ngrams, tokens
from modelmill.training.evaluate import classification as metrics
from modelmill.training.evaluate import summary
from modelmill.training.lbfgs import minimise
from modelmill.training.logistic import SparseRows, fit, predict
from modelmill.training.scores import best_scale
from modelmill.training.vocabulary import build_vocabulary, longest_ngram

_SENTENCE = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8).map(" ".join)


@given(st.lists(st.lists(_SENTENCE, min_size=2, max_size=2), min_size=1, max_size=12), st.integers(1, 40))
def test_the_vocabulary_is_what_counting_strings_gives(rows: list[list[str]], size: int) -> None:
    found = Counter(gram for texts in rows for gram in {gram for text in texts for gram in ngrams(tokens(text), 1, 3)})
    expected = [gram for _, gram in sorted((-count, gram) for gram, count in found.items() if count >= 2)][:size]
    if not expected:
        with pytest.raises(Rejected, match="no word"):
            build_vocabulary(rows, longest=3, min_rows=2, size=size)
    else:
        assert build_vocabulary(rows, longest=3, min_rows=2, size=size) == expected


def test_scripts_without_spaces_get_longer_ngrams() -> None:
    assert longest_ngram(["房间很大", "ok 服务不错"]) == 3
    assert longest_ngram(["a big room", "good service 好"]) == 2


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


def test_scaled_columns_are_columns_times_a_number() -> None:
    dense, sparse = _dense(50, 6)
    columns = torch.arange(1.0, 7.0, dtype=torch.float64)
    scaled = sparse.scaled(columns)
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


LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2])
PREDICTED = np.array([0, 0, 0, 1, 1, 0, 2, 2])
PROBABILITIES = np.where(np.arange(3) == PREDICTED[:, None], 0.8, 0.1).astype(np.float32)


def test_metrics_by_hand() -> None:
    scores = metrics(PROBABILITIES, LABELS, ["a", "b", "c"], seed=7)
    assert scores["test_rows"] == 8
    assert scores["accuracy"]["value"] == pytest.approx(6 / 8)
    assert scores["balanced_accuracy"]["value"] == pytest.approx((3 / 4 + 1 / 2 + 1) / 3, abs=1e-6)
    assert scores["macro_f1"]["value"] == pytest.approx((3 / 4 + 1 / 2 + 1) / 3, abs=1e-6)
    assert scores["log_loss"]["value"] == pytest.approx(-(6 * np.log(0.8) + 2 * np.log(0.1)) / 8, abs=1e-5)
    assert scores["majority_baseline"] == 0.5
    assert scores["confusion"] == [[3, 1, 0], [1, 1, 0], [0, 0, 2]]
    assert scores["per_class"][0] == {"label": "a", "precision": 0.75, "recall": 0.75, "f1": 0.75, "support": 4}


def test_metrics_are_the_same_each_time_and_a_class_that_is_absent_does_no_harm() -> None:
    first = metrics(PROBABILITIES[:6], LABELS[:6], ["a", "b", "c"], seed=7)
    assert first == metrics(PROBABILITIES[:6], LABELS[:6], ["a", "b", "c"], seed=7)
    assert first["balanced_accuracy"]["value"] == pytest.approx((3 / 4 + 1 / 2) / 2, abs=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1_000))
def test_the_interval_covers_the_value_and_has_the_width_of_theory(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 2, 400)
    probabilities = np.full((400, 2), 0.3, dtype=np.float32)
    probabilities[:, 0] = 0.7
    accuracy = metrics(probabilities, labels, ["a", "b"], seed)["accuracy"]
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    theory = 2 * 1.96 * np.sqrt(accuracy["value"] * (1 - accuracy["value"]) / 400)
    assert accuracy["high"] - accuracy["low"] == pytest.approx(theory, rel=0.2)


@pytest.mark.parametrize(("right", "verdict"), [(0.5, True), (0.9, False)])
def test_a_model_that_is_no_better_than_the_majority_says_so(right: float, verdict: bool) -> None:
    labels = np.arange(200) % 2
    hit = np.random.default_rng(0).permutation(200) < 200 * right
    scores = metrics(np.eye(2, dtype=np.float32)[np.where(hit, labels, 1 - labels)], labels, ["a", "b"], 7)
    assert ("no better" in summary(scores)) == verdict


def test_rare_classes_that_are_found_make_a_model_better_than_the_majority() -> None:
    labels = np.r_[np.zeros(970, np.int64), np.ones(30, np.int64)]
    answers = labels.copy()
    answers[:20], answers[-10:] = 1, 0
    scores = metrics(np.eye(2, dtype=np.float32)[answers], labels, ["a", "b"], 7)
    assert scores["accuracy"]["value"] <= scores["majority_baseline"]
    assert "no better" not in summary(scores)
