"""Models of mixed rows: each part tells something, both together tell all, and ONNX says the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray

from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Candidate, Column, ColumnKind, RunSpec
from modelmill.core.model.task import Answers, task_of
from modelmill.serving.features import Features
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.convert import session_of
from modelmill.training.families import family_of
from modelmill.training.nets import Model, config_of, net_of
from modelmill.training.objective import Calibration, objective_of
from modelmill.training.rows import Cells, Rows
from modelmill.training.run import Run

KINDS: dict[str, ColumnKind] = {"review": "text", "age": "number", "shop": "category"}
ODD: dict[str, list[Any]] = {
    "review": [None, "", "…", "never seen words", "good " * 5_000, "bad"],
    "age": [None, float("inf"), float("nan"), 1e300, "?", 40],
    "shop": [None, "never seen", "", "a" * 10_000, "north", 3],
}


def _rows(answers: Answers, count: int = 300) -> Rows:
    """A review tells one half of the answer, age and shop the other; some cells are missing."""
    random = np.random.default_rng(11)
    kind = random.integers(2, size=count)
    reviews = [f"a {('bad', 'good')[value]} thing {n % 7}" for n, value in enumerate(kind.tolist())]
    age, shop = random.normal(40, 10, size=count), random.integers(2, size=count)
    score = 2.0 * kind + (age > 45) - shop
    targets: dict[str, NDArray[Any]] = {
        "classification": np.digitize(score, [0.5, 1.5]).astype(np.int64),
        "multilabel": np.stack([kind == 1, age > 45], axis=1).astype(np.float32),
        "regression": 500 + 20 * score,
    }
    missing = random.random((3, count)) < 0.05
    cells: dict[str, list[Any]] = {
        "review": [None if gone else text for text, gone in zip(reviews, missing[0], strict=True)],
        "age": np.where(missing[1], np.nan, age).tolist(),
        "shop": [None if gone else ("south", "north")[s] for s, gone in zip(shop.tolist(), missing[2], strict=True)],
    }
    columns = {name: Cells(pa.chunked_array([pa.array(values)])) for name, values in cells.items()}
    return Rows(columns, targets[answers])


def _run(rows: Rows, answers: Answers, folder: Path, kinds: dict[str, ColumnKind]) -> Run:
    labels = {"classification": ["high", "low", "mid"], "multilabel": ["liked", "old"], "regression": []}[answers]
    spec = RunSpec(
        run_id="r",
        tenant="t",
        dataset="d",
        dataset_version="v",
        data_prefix="p/",
        model="m",
        task=task_of("mixed", answers),
        target="y",
        inputs=[Column(name=name, kind=kind) for name, kind in kinds.items()],
        labels=labels,
        candidates=[],
        recipe=Recipe(),
    )
    return Run(
        spec=spec,
        candidate=Candidate(name="fusion-linear", family="fusion-linear"),
        objective=objective_of(spec, rows),
        device=torch.device("cpu"),
        progress=lambda _done, _line: None,
        checkpoints=Checkpoints(folder / "checkpoint.safetensors", "f"),
    )


def _without(rows: Rows, name: str) -> Rows:
    gone = Cells(pa.chunked_array([pa.nulls(len(rows), rows.columns[name].values.type)]))
    return Rows({**rows.columns, name: gone}, rows.target)


@pytest.mark.parametrize("answers", ["classification", "multilabel", "regression"])
def test_both_parts_are_learnt_and_onnx_says_the_same(answers: Answers, tmp_path: Path) -> None:
    rows = _rows(answers)
    run = _run(rows, answers, tmp_path, KINDS)
    family, train, held_out = family_of(run.candidate), rows.take(np.arange(200)), rows.take(np.arange(200, 300))
    fitted = family.fit(train, held_out, run)
    target, measure = run.objective.target(held_out), run.objective.measure
    loss = run.objective.scores(fitted.raw, target)[measure]
    blind = family.fit(_without(train, "age"), _without(held_out, "age"), run)
    for raw in (blind.raw, torch.zeros_like(blind.raw)):
        assert loss < 0.9 * run.objective.scores(raw, target)[measure]
    again = family.refit(rows, [fitted.settings], run)
    assert again is not None
    preprocess, net = again
    model = Model(net_of(config_of(net), net.state_dict()), run.objective, Calibration(1.1))
    session, features = session_of(model.onnx()), Features(preprocess)
    assert set(features.field_names) == set(KINDS)
    for columns in (rows.part(0, 60), ODD):
        arrays = features.arrays(columns)
        ours, theirs = model.answers(arrays).numpy(), session.run(None, arrays)[0]
        np.testing.assert_allclose(theirs, ours, atol=1e-4)
        assert np.isfinite(theirs).all()
        for row in range(len(theirs)):
            alone = features.arrays({name: cells[row : row + 1] for name, cells in columns.items()})
            np.testing.assert_allclose(session.run(None, alone)[0][0], theirs[row], atol=1e-5)


def test_the_fits_own_outputs_are_what_its_net_answers(tmp_path: Path) -> None:
    rows = _rows("classification")
    run = _run(rows, "classification", tmp_path, KINDS)
    held_out = rows.take(np.arange(200, 300))
    fitted = family_of(run.candidate).fit(rows.take(np.arange(200)), held_out, run)
    arrays = Features(fitted.preprocess).arrays(held_out.columns)
    with torch.no_grad():
        raw = fitted.net(**{name: torch.from_numpy(array) for name, array in arrays.items()})
    np.testing.assert_allclose(raw.numpy(), fitted.raw.numpy(), atol=1e-4)


def test_texts_without_any_word_are_refused_with_the_reason(tmp_path: Path) -> None:
    rows = _without(_rows("classification"), "review")
    run = _run(rows, "classification", tmp_path, KINDS)
    with pytest.raises(Rejected, match="no word"):
        family_of(run.candidate).fit(rows, rows, run)


def test_what_it_cannot_read_is_refused_with_a_way_out(tmp_path: Path) -> None:
    rows = _rows("classification")
    run = _run(rows, "classification", tmp_path, {**KINDS, "photo": "image"})
    with pytest.raises(Rejected, match="photo") as refusal:
        family_of(run.candidate).fit(rows, rows, run)
    assert refusal.value.hint
