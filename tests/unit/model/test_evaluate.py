"""Scores against scikit-learn and by hand, their intervals, and what an evaluation warns of."""

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from modelmill.core.model.select import CandidateResult
from modelmill.training.evaluate import Evidence, summary
from modelmill.training.evaluate.bootstrap import bootstrap
from modelmill.training.evaluate.calibration import uncalibrated
from modelmill.training.evaluate.classification import Judged
from modelmill.training.evaluate.multilabel import Tagged
from modelmill.training.evaluate.ranking import rank
from modelmill.training.evaluate.regression import Measured
from tests.unit.model.judging import judged, measured, softmax, tagged

LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2])
PREDICTED = np.array([0, 0, 0, 1, 1, 0, 2, 2])
PROBABILITIES = np.where(np.arange(3) == PREDICTED[:, None], 0.8, 0.1).astype(np.float32)
EXACT = 1e-9


def sample(rows: int, classes: int, seed: int = 0, skill: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Rounded probabilities, so that there are ties, and classes."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=rows)
    logits = random.normal(size=(rows, classes)) + skill * np.eye(classes)[labels]
    return np.round(softmax(logits).astype(np.float64), 2), labels


def codes(found: dict[str, object]) -> list[str]:
    """The codes of the warnings."""
    warnings = found["warnings"]
    assert isinstance(warnings, list)
    return [one["code"] for one in warnings]


def test_by_hand() -> None:
    scores = judged(PROBABILITIES, LABELS, ["a", "b", "c"])
    assert scores["test_rows"] == 8
    assert scores["accuracy"]["value"] == pytest.approx(6 / 8)
    assert scores["balanced_accuracy"]["value"] == pytest.approx((3 / 4 + 1 / 2 + 1) / 3, abs=1e-6)
    assert scores["macro_f1"]["value"] == pytest.approx((3 / 4 + 1 / 2 + 1) / 3, abs=1e-6)
    assert scores["log_loss"]["value"] == pytest.approx(-(6 * np.log(0.8) + 2 * np.log(0.1)) / 8, abs=1e-5)
    assert scores["majority_baseline"] == 0.5
    assert scores["confusion"] == [[3, 1, 0], [1, 1, 0], [0, 0, 2]]
    first = scores["per_class"][0]
    assert (first["label"], first["precision"], first["recall"], first["f1"], first["support"]) == (
        "a",
        0.75,
        0.75,
        0.75,
        4,
    )
    assert scores["confused"][0] == {"truth": "a", "answer": "b", "rows": 1}
    assert [one["row"] for one in scores["worst"]] == [3, 5]


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_scores_of_classes_are_those_of_scikit_learn(classes: int) -> None:
    probabilities, labels = sample(500, classes)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    answers = probabilities.argmax(axis=1)
    found = bootstrap(Judged(probabilities, labels, list("abcdefg"[:classes])).statistic, 500, 7).values
    macro = {"average": "macro", "zero_division": 0}
    whole = probabilities[:, 1] if classes == 2 else probabilities
    expected = {
        "accuracy": reference.accuracy_score(labels, answers),
        "balanced_accuracy": reference.balanced_accuracy_score(labels, answers),
        "macro_f1": reference.f1_score(labels, answers, **macro),
        "macro_precision": reference.precision_score(labels, answers, **macro),
        "macro_recall": reference.recall_score(labels, answers, **macro),
        "roc_auc": reference.roc_auc_score(labels, whole, multi_class="ovr"),
        "pr_auc": reference.average_precision_score(labels, whole),
        "brier": reference.brier_score_loss(labels, whole),
        "log_loss": -np.log(np.maximum(probabilities[np.arange(500), labels], 1e-12)).mean(),
    }
    assert found == pytest.approx(expected, abs=EXACT)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=30))
def test_areas_take_ties_as_scikit_learn_does(rows: list[tuple[bool, int]]) -> None:
    truth, scores = np.array([row[0] for row in rows]), np.array([row[1] / 4 for row in rows])
    found = rank(truth, scores)
    if found is None:
        assert len(set(truth.tolist())) == 1
        return
    assert found.roc_auc == pytest.approx(reference.roc_auc_score(truth, scores), abs=EXACT)
    assert found.pr_auc == pytest.approx(reference.average_precision_score(truth, scores), abs=EXACT)


def test_the_influence_of_a_row_is_what_a_little_more_weight_of_it_changes() -> None:
    probabilities, labels = sample(60, 2)
    truth, scores, step = labels == 1, probabilities[:, 1], 1e-6
    found = rank(truth, scores)
    assert found is not None
    for row in range(60):
        weights = np.ones(60)
        weights[row] += step
        roc = reference.roc_auc_score(truth, scores, sample_weight=weights)
        precision = reference.average_precision_score(truth, scores, sample_weight=weights)
        assert found.roc_influence[row] == pytest.approx((roc - found.roc_auc) / step, abs=1e-5)
        assert found.pr_influence[row] == pytest.approx((precision - found.pr_auc) / step, abs=1e-5)


def test_scores_of_tags_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    tags = (random.random((400, 5)) < [0.5, 0.3, 0.2, 0.1, 0.05]).astype(np.float32)
    probabilities = np.round((0.6 * tags + random.random((400, 5))) / 1.6, 2)
    chosen = probabilities >= 0.5
    found = bootstrap(Tagged(probabilities, tags, list("abcde")).statistic, 400, 7).values
    clipped = np.clip(probabilities, 1e-12, 1 - 1e-12)
    expected = {
        "micro_f1": reference.f1_score(tags, chosen, average="micro"),
        "macro_f1": reference.f1_score(tags, chosen, average="macro"),
        "micro_precision": reference.precision_score(tags, chosen, average="micro"),
        "micro_recall": reference.recall_score(tags, chosen, average="micro"),
        "subset_accuracy": reference.accuracy_score(tags, chosen),
        "roc_auc": reference.roc_auc_score(tags, probabilities),
        "pr_auc": reference.average_precision_score(tags, probabilities),
        "log_loss": np.mean([reference.log_loss(tags[:, k], clipped[:, k]) for k in range(5)]),
    }
    assert found == pytest.approx(expected, abs=EXACT)
    scores = tagged(probabilities, tags)
    assert scores["baseline"]["micro_f1"] < scores["micro_f1"]["low"]
    assert [row["support"] for row in scores["per_class"]] == tags.sum(axis=0).tolist()


def test_scores_of_a_measure_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(4)
    truth = random.gamma(3, 1e4, 501) + 1e4
    answers = truth + random.normal(0, 5e3, 501)
    found = bootstrap(Measured(answers, truth).statistic, 501, 7).values
    assert found["rmse"] == pytest.approx(reference.root_mean_squared_error(truth, answers), rel=EXACT)
    assert found["mae"] == pytest.approx(reference.mean_absolute_error(truth, answers), rel=EXACT)
    assert found["r2"] == pytest.approx(reference.r2_score(truth, answers), abs=EXACT)
    assert found["mape"] == pytest.approx(reference.mean_absolute_percentage_error(truth, answers), abs=EXACT)
    scores = measured(answers, truth)
    median = scores["median_error"]
    assert median["value"] == pytest.approx(reference.median_absolute_error(truth, answers), rel=1e-5)
    assert median["low"] < median["value"] < median["high"]
    assert sum(scores["residuals"]["counts"]) + scores["residuals"]["below"] + scores["residuals"]["above"] == 501
    assert [part["rows"] for part in scores["parts"]] == [51, *[50] * 9]


def test_errors_in_per_cent_are_told_only_where_they_make_sense() -> None:
    truth = np.linspace(1, 2, 50)
    assert "mape" in measured(truth + 0.1, truth)
    assert "mape" not in measured(truth + 0.1, truth - 1.5)
    assert "mape" not in measured(truth + 0.1, np.r_[truth[1:], 1e-9])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1_000))
def test_the_interval_covers_the_value_and_has_the_width_of_theory(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 2, 400)
    probabilities = np.full((400, 2), 0.3, dtype=np.float32)
    probabilities[:, 0] = 0.7
    accuracy = judged(probabilities, labels, ["a", "b"])["accuracy"]
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    theory = 2 * 1.96 * np.sqrt(accuracy["value"] * (1 - accuracy["value"]) / 400)
    assert accuracy["high"] - accuracy["low"] == pytest.approx(theory, rel=0.2)


def test_intervals_of_areas_are_those_of_sorting_each_resample() -> None:
    probabilities, labels = sample(300, 2, skill=0.7)
    found = judged(probabilities, labels, ["a", "b"])
    random = np.random.default_rng(0)
    for name, area in (("roc_auc", reference.roc_auc_score), ("pr_auc", reference.average_precision_score)):
        drawn = [random.integers(300, size=300) for _ in range(400)]
        low, high = np.quantile([area(labels[rows], probabilities[rows, 1]) for rows in drawn], [0.025, 0.975])
        width = high - low
        assert found[name]["low"] == pytest.approx(low, abs=0.15 * width)
        assert found[name]["high"] == pytest.approx(high, abs=0.15 * width)


def test_a_thousand_resamples_of_many_rows_are_cheap() -> None:
    probabilities, labels = sample(25_000, 10)
    started = time.process_time()
    judged(probabilities.astype(np.float32), labels, list("abcdefghij"))
    assert time.process_time() - started < 4  # 1.4 s on a quiet core


def test_equal_answers_give_equal_json_without_nan_also_at_the_edges() -> None:
    probabilities, labels = sample(40, 3)
    first, again = (judged(probabilities[:, :3], labels, ["甲", "乙", "丙"]) for _ in range(2))
    assert json.dumps(first, allow_nan=False, ensure_ascii=False) == json.dumps(
        again, allow_nan=False, ensure_ascii=False
    )
    one_class = judged(probabilities, np.zeros(40, np.int64), ["a", "b", "c"])
    assert "roc_auc" not in one_class
    assert "absent_classes" in codes(one_class)
    one_row = judged(probabilities[:1], labels[:1], ["a", "b", "c"])
    no_tag = tagged(np.full((20, 2), 0.1), np.zeros((20, 2), np.float32))
    constant = measured(np.full(20, 3.0), np.full(20, 3.0))
    single = measured(np.ones(1), np.zeros(1))
    for found in (one_class, one_row, no_tag, constant, single):
        json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(("right", "verdict"), [(0.5, True), (0.9, False)])
def test_a_model_that_is_no_better_than_the_majority_says_so(right: float, verdict: bool) -> None:
    labels = np.arange(200) % 2
    hit = np.random.default_rng(0).permutation(200) < 200 * right
    scores = judged(np.eye(2, dtype=np.float32)[np.where(hit, labels, 1 - labels)], labels, ["a", "b"])
    assert ("no better" in summary(scores)) == verdict
    assert ("no_better" in codes(scores)) == verdict


def test_rare_classes_that_are_found_make_a_model_better_than_the_majority() -> None:
    labels = np.r_[np.zeros(970, np.int64), np.ones(30, np.int64)]
    answers = labels.copy()
    answers[:20], answers[-10:] = 1, 0
    scores = judged(np.eye(2, dtype=np.float32)[answers], labels, ["a", "b"])
    assert scores["accuracy"]["value"] <= scores["majority_baseline"]
    assert "no better" not in summary(scores)
    assert "imbalanced" in codes(scores)


def test_answers_without_skill_are_no_better_than_a_constant() -> None:
    random = np.random.default_rng(5)
    truth = random.normal(size=300)
    found = measured(random.normal(size=300), truth)
    assert "no_better" in codes(found)
    assert "no better" in summary(found)
    tags = (random.random((300, 3)) < 0.5).astype(np.float32)
    assert "no_better" in codes(tagged(random.random((300, 3)), tags))


def test_what_is_too_good_to_be_true_is_doubted() -> None:
    labels = np.arange(100) % 2
    assert "too_good" in codes(judged(np.eye(2, dtype=np.float32)[labels], labels, ["a", "b"]))
    truth = np.arange(100.0)
    assert "too_good" in codes(measured(truth, truth))
    assert "too_good" not in codes(judged(*sample(100, 2), ["a", "b"]))


def test_a_test_that_goes_worse_than_the_choice_is_told() -> None:
    probabilities, labels = sample(2_000, 2)
    probabilities = (probabilities + 0.01) / (probabilities + 0.01).sum(axis=1, keepdims=True)
    loss = judged(probabilities, labels, ["a", "b"])["log_loss"]["value"]

    def found(before: float) -> dict[str, object]:
        selection = CandidateResult(candidate="c", loss=before, measure="log_loss", rows=500)
        return judged(probabilities, labels, ["a", "b"], Evidence(selection=selection))

    assert "gap" in codes(found(loss / 2))
    assert "gap" not in codes(found(loss * 1.01))


def test_few_rows_are_told_for_the_whole_and_for_a_class() -> None:
    probabilities, labels = sample(300, 3)
    labels[labels == 2] = 1
    labels[:4] = 2
    found = judged(probabilities, labels, ["a", "b", "c"])
    assert "few_rows_of_class" in codes(found)
    assert "few_test_rows" not in codes(found)
    assert "few_test_rows" in codes(judged(probabilities[:50], labels[:50], ["a", "b", "c"]))


def test_calibration_tells_boasting_from_chance_and_undoes_the_temperature() -> None:
    random = np.random.default_rng(6)
    logits = random.normal(0, 2, size=(3_000, 3))
    honest = softmax(logits)
    labels = np.array([random.choice(3, p=row / row.sum()) for row in honest.astype(np.float64)])
    fair, boasting = judged(honest, labels, list("abc")), judged(softmax(logits * 3), labels, list("abc"))
    assert fair["calibration"]["ece"] <= fair["calibration"]["ece_by_chance"] * 1.3
    assert "uncalibrated" not in codes(fair)
    assert "uncalibrated" in codes(boasting)
    assert sum(one["rows"] for one in fair["calibration"]["bins"]) == 3_000
    cooled = judged(honest, labels, list("abc"), Evidence(scale=1 / 3))["calibration"]
    assert cooled["before"]["ece"] == pytest.approx(boasting["calibration"]["ece"], abs=1e-3)
    assert cooled["temperature"] == 3
    assert np.allclose(uncalibrated(honest, 1 / 3, "classification"), softmax(logits * 3), atol=1e-4)
    sigmoid = 1 / (1 + np.exp(-logits))
    assert np.allclose(uncalibrated(sigmoid, 0.5, "multilabel"), 1 / (1 + np.exp(-2 * logits)), atol=1e-6)


def test_many_classes_have_pairs_instead_of_a_matrix() -> None:
    probabilities, labels = sample(2_000, 60, skill=4)
    found = judged(probabilities, labels, [f"类别{place}" for place in range(60)])
    assert "confusion" not in found
    assert len(found["confused"]) == 50
    assert len(json.dumps(found, ensure_ascii=False)) < 80_000
