"""The family `boosting`: what it finds in tables whose answer is known, and what it makes of odd ones."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from modelmill.core.model.task import Task
from modelmill.serving.features import Features
from modelmill.training.convert import check_parity
from modelmill.training.evaluate import answers_of_rows
from modelmill.training.families.boosting import Boosting
from modelmill.training.nets import Model, Net
from modelmill.training.objective import Calibration
from modelmill.training.rows import Rows
from modelmill.training.run import Run
from tests.unit.model.boosting import table

ONE_OF_TWO: Task = "tabular-classification"


def _learnt(rows: Rows, run: Run, held_out: int, family: Boosting | None = None) -> tuple[dict[str, Any], Net]:
    """A fit that holds out the last rows, then all rows with what it chose."""
    family, last = family or Boosting(), len(rows) - held_out
    fitted = family.fit(rows.take(np.arange(last)), rows.take(np.arange(last, len(rows))), run)
    assert fitted.raw.shape == (held_out, run.objective.outputs)
    assert bool(torch.isfinite(fitted.raw).all())
    return family.refit(rows, [json.loads(json.dumps(fitted.settings))], run)


def _score(learnt: tuple[dict[str, Any], Net], rows: Rows, run: Run) -> dict[str, float]:
    arrays = Features(learnt[0]).arrays(rows.columns)
    raw = learnt[1](**{name: torch.from_numpy(array) for name, array in arrays.items()})
    return run.objective.scores(raw, run.objective.target(rows))


def _numbers(rows: int, columns: int, seed: int = 1) -> dict[str, NDArray[np.float64]]:
    made = np.random.default_rng(seed).normal(size=(columns, rows))
    return {f"x{index}": column for index, column in enumerate(made)}


def test_it_learns_a_measure_and_rotates_the_pair_whose_edge_is_oblique() -> None:
    inputs = _numbers(1_800, 4)
    target = 50 + 10 * np.sign(inputs["x1"] + 0.5 * inputs["x3"]) * np.abs(inputs["x1"]) + inputs["x0"]
    rows, run = table("tabular-regression", inputs, target, [])
    train, test = rows.take(np.arange(1_200)), rows.take(np.arange(1_200, 1_800))
    fitted = Boosting().fit(train.take(np.arange(900)), train.take(np.arange(900, 1_200)), run)
    assert (1, 3) in fitted.settings["pairs"]
    rotated = _score(Boosting().refit(train, [fitted.settings], run), test, run)
    plain = _score(Boosting().refit(train, [fitted.settings | {"pairs": []}], run), test, run)
    assert rotated["r2"] > 0.95
    assert rotated["rmse"] < plain["rmse"]


def test_it_learns_each_tag_for_itself() -> None:
    inputs = _numbers(1_200, 3)
    tags = np.column_stack([inputs["x0"] > 0, inputs["x1"] > 1, np.zeros(1_200)]).astype(np.float32)
    rows, run = table("tabular-multilabel", inputs, tags, ["high", "never", "rare"])
    learnt = _learnt(rows.take(np.arange(900)), run, 150)
    assert _score(learnt, rows.take(np.arange(900, 1_200)), run)["micro_f1"] > 0.97


def test_a_category_of_many_values_tells_its_effect_but_not_its_noise() -> None:
    chance = np.random.default_rng(3)
    rows_count, shops = 4_000, 400
    shop, noise = chance.integers(0, shops, rows_count), chance.integers(0, shops, rows_count)
    logit = chance.normal(size=shops)[shop] * 1.5
    labels = (logit + chance.logistic(size=rows_count) > 0).astype(np.int64)
    inputs = {"shop": [f"s{value}" for value in shop], "noise": [f"n{value}" for value in noise]}
    rows, run = table(ONE_OF_TWO, inputs, labels, ["no", "yes"])
    learnt = _learnt(rows.take(np.arange(3_000)), run, 600)
    test = rows.take(np.arange(3_000, rows_count))
    best = -float(np.log(1 / (1 + np.exp(-np.where(test.target > 0, 1, -1) * logit[3_000:]))).mean())
    assert _score(learnt, test, run)["log_loss"] < best + 0.06


def test_equal_data_give_equal_bytes_whatever_was_learnt_before() -> None:
    inputs = _numbers(400, 3)
    rows, run = table(ONE_OF_TWO, inputs, (inputs["x0"] > 0).astype(np.int64), ["no", "yes"])

    def made() -> bytes:
        return Model(_learnt(rows, run, 250)[1], run.objective, Calibration()).onnx()

    assert made() == made()


N = 40
TWO = np.tile(np.array([0, 1], dtype=np.int64), N // 2)
ODD: dict[str, tuple[Task, dict[str, Any], NDArray[Any], list[str]]] = {
    "constant, empty and one number": (
        ONE_OF_TWO,
        {"x": [5.0] * N, "y": [float("nan")] * N, "z": np.arange(N) * 1.0},
        TWO,
        ["a", "b"],
    ),
    "constant only": (ONE_OF_TWO, {"x": [5.0] * N}, TWO, ["a", "b"]),
    "huge, tiny and infinite": (
        ONE_OF_TWO,
        {"x": [1e300, -1e300] * (N // 2), "y": np.arange(N) * 1e-300, "z": [float("inf"), 1e-30] * (N // 2)},
        TWO,
        ["a", "b"],
    ),
    "ten rows": (ONE_OF_TWO, {"x": np.arange(10) * 1.0, "c": ["u", "v"] * 5}, TWO[:10], ["a", "b"]),
    "one class in the rows": (ONE_OF_TWO, {"x": np.arange(N) * 1.0}, np.zeros(N, dtype=np.int64), ["a", "b", "c"]),
    "more classes than rows": (
        ONE_OF_TWO,
        {"x": np.arange(20) * 1.0},
        np.arange(20, dtype=np.int64),
        [f"class {index:02}" for index in range(30)],
    ),
    "a category a row": (ONE_OF_TWO, {"c": [f"v{index}" for index in range(N)]}, TWO, ["a", "b"]),
    "a constant measure": ("tabular-regression", {"x": np.arange(N) * 1.0}, np.full(N, 3.0), []),
    "tags that nobody has": ("tabular-multilabel", {"x": np.arange(N) * 1.0}, np.zeros((N, 2), np.float32), ["a", "b"]),
    "wide": (ONE_OF_TWO, _numbers(N, 300), TWO, ["a", "b"]),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_tables_are_learnt_and_their_models_pass_the_gate(name: str) -> None:
    task, inputs, target, labels = ODD[name]
    rows, run = table(task, inputs, target, labels)
    preprocess, net = _learnt(rows, run, 4)
    calibration = run.objective.calibrate(torch.zeros(4, run.objective.outputs), run.objective.target(rows)[:4])
    model = Model(net, run.objective, calibration)
    assert check_parity(
        model, model.onnx(), Features(preprocess), rows, answers_of_rows(model, Features(preprocess), rows), run.spec
    )["rows"] > len(rows)
