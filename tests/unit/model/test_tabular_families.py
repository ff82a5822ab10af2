"""Families of tables: equal to scikit-learn where they say so, equal in ONNX, and of use for all three answers."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge

from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Candidate, Column, RunSpec
from modelmill.core.model.task import Task
from modelmill.serving.features import Features
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.convert import session_of
from modelmill.training.families import family_of
from modelmill.training.nets import Model, Net, config_of, net_of
from modelmill.training.objective import Calibration, objective_of
from modelmill.training.rows import Cells, Rows
from modelmill.training.run import Run

SCIKIT: dict[str, Any] = {"bins": 0, "scale": False, "l2": 1.0}
SMALL_NET: dict[str, Any] = {"members": 2, "width": 16, "dim": 4, "epochs": 12, "learning_rate": 0.02}


def run_of(  # noqa: PLR0917 - one run, said in one line
    rows: Rows, task: Task, folder: Path, family: str, hyper: dict[str, Any], kinds: dict[str, Any] | None = None
) -> Run:
    """The run of one candidate on these rows."""
    inputs = [Column(name=name, kind=(kinds or {}).get(name, "number")) for name in rows.columns]
    labels = [] if task.endswith("regression") else [f"label {n}" for n in range(_labels(rows))]
    spec = RunSpec(
        run_id="r", tenant="t", dataset="d", dataset_version="v", data_prefix="p/", model="m", task=task, target="y",
        inputs=inputs, labels=labels, candidates=[], recipe=Recipe(),
    )  # fmt: skip
    return Run(
        spec=spec,
        candidate=Candidate(name=family, family=family, hyperparameters=hyper),
        objective=objective_of(spec, rows),
        device=torch.device("cpu"),
        progress=lambda _done, _line: None,
        checkpoints=Checkpoints(folder / "checkpoint.safetensors", "f"),
    )


def _labels(rows: Rows) -> int:
    return rows.target.shape[1] if rows.target.ndim > 1 else int(rows.target.max()) + 1


def table(numbers: NDArray[Any], target: NDArray[Any], **more: list[Any]) -> Rows:
    """Rows of numbers `x0`, `x1`, … and other columns."""
    columns: dict[str, list[Any]] = {f"x{n}": column.tolist() for n, column in enumerate(numbers.T)} | more
    return Rows({name: Cells(pa.chunked_array([pa.array(cells)])) for name, cells in columns.items()}, target)


def answers(net: Net, preprocess: dict[str, Any], rows: Rows, run: Run) -> NDArray[np.float32]:
    """Uncalibrated answers of rows, read as they are served."""
    calibration = Calibration()
    if run.objective.answers == "regression":
        calibration = run.objective.calibrate(torch.zeros(1, 1), torch.zeros(1))
    model = Model(net.eval(), run.objective, calibration)
    return model.answers(Features(preprocess).arrays(rows.columns)).numpy()


def _folds(rows: int, count: int) -> list[NDArray[np.int64]]:
    return np.array_split(np.random.default_rng(3).permutation(rows), count)


@pytest.mark.parametrize("folds", [5, 150])
def test_iris_is_scikit_learns_own(folds: int, tmp_path: Path) -> None:
    data = load_iris()
    rows = table(data.data, data.target.astype(np.int64))
    run = run_of(rows, "tabular-classification", tmp_path, "linear", SCIKIT)
    family, ours, theirs = family_of(run.candidate), np.zeros((150, 3)), np.zeros((150, 3))
    numbers = data.data.astype(np.float32).astype(np.float64)
    for held_out in _folds(150, folds):
        learnt = np.setdiff1d(np.arange(150), held_out)
        fitted = family.fit(rows.take(learnt), rows.take(held_out), run)
        ours[held_out] = answers(fitted.net, fitted.preprocess, rows.take(held_out), run)
        peer = LogisticRegression(C=1, solver="newton-cholesky", tol=1e-10).fit(numbers[learnt], data.target[learnt])
        theirs[held_out] = peer.predict_proba(numbers[held_out])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    right, wanted = (int((p.argmax(1) == data.target).sum()) for p in (ours, theirs))
    assert right == wanted


def test_two_classes_and_a_measure_are_scikit_learns_own(tmp_path: Path) -> None:
    cancer = load_breast_cancer()
    numbers = cancer.data[:, :6].astype(np.float32).astype(np.float64)
    rows = table(numbers, cancer.target.astype(np.int64))
    run = run_of(rows, "tabular-classification", tmp_path, "linear", SCIKIT)
    fitted = family_of(run.candidate).fit(rows, rows, run)
    peer = LogisticRegression(C=1, solver="newton-cholesky", tol=1e-9, max_iter=1_000).fit(numbers, cancer.target)
    ours = answers(fitted.net, fitted.preprocess, rows, run)
    np.testing.assert_allclose(ours, peer.predict_proba(numbers), atol=2e-5)

    diabetes = load_diabetes()
    numbers = diabetes.data.astype(np.float32).astype(np.float64)
    rows = table(numbers, diabetes.target.astype(np.float64))
    run = run_of(rows, "tabular-regression", tmp_path, "linear", SCIKIT)
    fitted = family_of(run.candidate).fit(rows, rows, run)
    ours = answers(fitted.net, fitted.preprocess, rows, run)[:, 0]
    np.testing.assert_allclose(ours, Ridge(alpha=1).fit(numbers, diabetes.target).predict(numbers), atol=1e-3)


def _mixed(answer: str, rows: int = 240) -> tuple[Rows, Task]:
    """Two numbers (some missing), a category, one number that is never there; the answer depends on what is there."""
    random = np.random.default_rng(5)
    numbers = random.normal(size=(rows, 3))
    place = random.integers(3, size=rows)
    score = np.sin(2 * numbers[:, 0]) + (place == 1) - numbers[:, 1] * (place == 2)
    numbers[random.random((rows, 3)) < 0.1] = np.nan
    numbers[:, 2] = np.nan
    targets: dict[str, NDArray[Any]] = {
        "classification": np.digitize(score, [-0.5, 0.8]).astype(np.int64),
        "multilabel": np.stack([score > 0, place == 1], axis=1).astype(np.float32),
        "regression": 1_000 + 50 * score,
    }
    tasks: dict[str, Task] = {
        "classification": "tabular-classification",
        "multilabel": "tabular-multilabel",
        "regression": "tabular-regression",
    }
    kinds = [None if n % 17 == 0 else f"k{value}" for n, value in enumerate(place.tolist())]
    return table(numbers, targets[answer], c=kinds), tasks[answer]


ODD: dict[str, list[Any]] = {
    "x0": [None, 1e300, float("inf"), float("nan"), -1e300, 0.5, "?"],
    "x1": [None, None, 0, 1, 2, 1e-300, 3],
    "x2": [None, 7, 7, 7, 7, 7, 7],
    "c": [None, "never seen", "k1", "", "k2", "k0", 3],
}


@pytest.mark.parametrize("answer", ["classification", "multilabel", "regression"])
@pytest.mark.parametrize(("family", "hyper"), [("linear", {}), ("tabm", SMALL_NET)])
def test_a_family_learns_refits_and_is_equal_in_onnx(
    family: str, hyper: dict[str, Any], answer: str, tmp_path: Path
) -> None:
    rows, task = _mixed(answer)
    run = run_of(rows, task, tmp_path, family, hyper, {"c": "category"})
    learner = family_of(run.candidate)
    train, held_out = rows.take(np.arange(180)), rows.take(np.arange(180, 240))
    fitted = learner.fit(train, held_out, run.part("fit", 0, 1))
    target = run.objective.target(held_out)
    blank = torch.zeros_like(fitted.raw)
    measure = run.objective.measure
    assert run.objective.scores(fitted.raw, target)[measure] < run.objective.scores(blank, target)[measure]
    again = learner.refit(rows, [fitted.settings, fitted.settings], run.part("all rows", 0, 1))
    assert again is not None
    preprocess, net = again
    rebuilt = net_of(config_of(net), net.state_dict())
    model = Model(rebuilt, run.objective, Calibration(0.9))
    session, features = session_of(model.onnx()), Features(preprocess)
    for columns in (rows.part(0, 100), ODD):
        arrays = features.arrays(columns)
        ours, theirs = model.answers(arrays).numpy(), session.run(None, arrays)[0]
        np.testing.assert_allclose(theirs, ours, atol=1e-4)
        assert np.isfinite(theirs).all()
        for row in range(0, len(theirs), 7):
            alone = session.run(None, features.arrays({name: cells[row : row + 1] for name, cells in columns.items()}))
            np.testing.assert_allclose(alone[0][0], theirs[row], atol=1e-5)


@pytest.mark.parametrize(("family", "hyper"), [("linear", {}), ("tabm", SMALL_NET)])
def test_the_same_rows_and_seed_give_the_same_net(family: str, hyper: dict[str, Any], tmp_path: Path) -> None:
    rows, task = _mixed("classification", 80)
    nets = []
    for attempt in ("a", "b"):
        run = run_of(rows, task, tmp_path / attempt, family, hyper, {"c": "category"})
        nets.append(family_of(run.candidate).fit(rows, rows, run).net.state_dict())
    assert all(torch.equal(tensor, nets[1][name]) for name, tensor in nets[0].items())


@pytest.mark.parametrize(("family", "hyper"), [("linear", {}), ("tabm", SMALL_NET)])
@pytest.mark.parametrize("columns", ["numbers", "categories", "nothing"])
def test_tables_of_one_kind_or_of_nothing_at_all(
    family: str, hyper: dict[str, Any], columns: str, tmp_path: Path
) -> None:
    target = np.arange(60) % 2
    missing = np.full((60, 0 if columns == "categories" else 1), np.nan)
    if columns == "numbers":
        missing[:, 0] = target
    more: dict[str, list[Any]] = {"c": ["ab"[n] for n in target]} if columns == "categories" else {}
    rows = table(missing, target.astype(np.int64), **more)
    run = run_of(rows, "tabular-classification", tmp_path, family, hyper, {"c": "category"})
    fitted = family_of(run.candidate).fit(rows, rows, run)
    model = Model(fitted.net, run.objective, Calibration())
    arrays = Features(fitted.preprocess).arrays(rows.columns)
    theirs = session_of(model.onnx()).run(None, arrays)[0]
    np.testing.assert_allclose(theirs, model.answers(arrays).numpy(), atol=1e-4)
    assert ((theirs.argmax(1) == target).all()) == (columns != "nothing")
