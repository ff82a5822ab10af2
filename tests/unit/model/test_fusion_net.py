"""One net of rows with images and sounds: every part tells something, and ONNX says the same."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray

from modelmill.aws import objects
from modelmill.core.errors import Rejected
from modelmill.core.model.candidates import candidates_for
from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Candidate, Column, ColumnKind, RunSpec
from modelmill.core.model.task import Answers, task_of
from modelmill.serving.features import Features
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.convert import session_of
from modelmill.training.families import Fitted, family_of
from modelmill.training.objective import objective_of
from modelmill.training.rows import Cells, Rows
from modelmill.training.run import Run
from tests.unit.model.media import RATE, equal_in_onnx, png, wav
from tests.unit.model.world import Cloud

KINDS: dict[str, ColumnKind] = {"photo": "image", "noise": "audio", "size": "number", "note": "text"}
BRIEF = {"width": 4, "passes": 2_400, "epochs": 12, "learning_rate": 1e-2}
ODD: dict[str, list[Any]] = {
    "photo": [None, png(np.zeros((3, 50))), None],
    "noise": [None, None, wav(np.zeros(9))],
    "size": [None, float("inf"), 1e300],
    "note": [None, "", "never seen " * 5_000],
}


def _cells(count: int, seed: int) -> tuple[dict[str, list[Any]], NDArray[np.int64]]:
    """Each of four columns tells one bit [rows, 4]; one cell in twenty is missing."""
    chance = np.random.default_rng(seed)
    bits = chance.integers(0, 2, (count, 4))
    time = np.arange(RATE // 4) / RATE
    cells: dict[str, list[Any]] = {
        "photo": [png(chance.normal(60 + 120 * bit, 20, (10, 10))) for bit in bits[:, 0]],
        "noise": [wav(0.3 * np.sin(2 * np.pi * (300 + 900 * bit) * time)) for bit in bits[:, 1]],
        "size": (chance.normal(0, 0.5, count) + 4 * bits[:, 2]).tolist(),
        "note": [f"a {('bad', 'good')[bit]} thing {place % 7}" for place, bit in enumerate(bits[:, 3])],
    }
    gone = chance.random((4, count)) < 0.05
    for name, missing in zip(cells, gone, strict=True):
        cells[name] = [None if no else cell for cell, no in zip(cells[name], missing, strict=True)]
    return cells, bits


def _rows(answers: Answers, count: int, seed: int, kinds: dict[str, ColumnKind] = KINDS) -> Rows:
    cells, bits = _cells(count, seed)
    both = (bits[:, 0] ^ bits[:, 2]) * 2 + (bits[:, 1] & bits[:, 3])
    targets: dict[Answers, NDArray[Any]] = {
        "classification": both.astype(np.int64),
        "multilabel": bits.astype(np.float32),
        "regression": 500 + 20.0 * bits.sum(1),
    }
    return Rows(_columns({name: cells[name] for name in kinds}), targets[answers])


def _columns(cells: dict[str, list[Any]]) -> dict[str, Cells]:
    return {name: Cells(pa.chunked_array([pa.array(values)])) for name, values in cells.items()}


def _run(rows: Rows, answers: Answers, folder: Path, kinds: dict[str, ColumnKind] = KINDS) -> Run:
    labels = [] if answers == "regression" else ["a", "b", "c", "d"]
    spec = RunSpec(
        run_id="r", tenant="t", dataset="d", dataset_version="v", data_prefix="p/", model="m", target="y",
        task=task_of("mixed", answers), labels=labels, candidates=[], recipe=Recipe(),
        inputs=[Column(name=name, kind=kind) for name, kind in kinds.items()],
    )  # fmt: skip
    return Run(
        spec=spec,
        candidate=Candidate(name="fusion", family="fusion", hyperparameters=BRIEF),
        objective=objective_of(spec, rows),
        device=torch.device("cpu"),
        progress=lambda _done, _line: None,
        checkpoints=Checkpoints(folder / "checkpoint.safetensors", "f"),
    )


@pytest.mark.parametrize("answers", ["classification", "multilabel", "regression"])
def test_every_part_is_learnt_and_onnx_says_the_same(answers: Answers, tmp_path: Path) -> None:
    rows, held_out = _rows(answers, 200, 1), _rows(answers, 100, 2)
    run = _run(rows, answers, tmp_path)
    fitted = family_of(run.candidate).fit(rows, held_out, run)
    target, measure = run.objective.target(held_out), run.objective.measure
    loss, nothing = (run.objective.scores(raw, target)[measure] for raw in (fitted.raw, fitted.raw * 0))
    assert loss < 0.5 * nothing
    assert set(Features(fitted.preprocess).field_names) == set(KINDS)
    equal_in_onnx(fitted.net, fitted.preprocess, held_out, run)
    odd = Rows(_columns(ODD), held_out.target[:3])
    assert np.isfinite(equal_in_onnx(fitted.net, fitted.preprocess, odd, run)).all()
    for name in KINDS:
        assert run.objective.scores(_raw(fitted, _shuffled(held_out, name)), target)[measure] > 1.2 * loss, name


def _shuffled(rows: Rows, name: str) -> Rows:
    """The rows with the cells of one column in another order: what it tells is lost."""
    return Rows({**rows.columns, name: rows.take(np.roll(np.arange(len(rows)), 17)).columns[name]}, rows.target)


@torch.no_grad()
def _raw(fitted: Fitted, rows: Rows) -> torch.Tensor:
    arrays = Features(fitted.preprocess).arrays(rows.columns)
    raw: torch.Tensor = fitted.net(**{name: torch.from_numpy(array) for name, array in arrays.items()})
    return raw


def test_its_outputs_are_those_of_the_fit_and_the_same_again(tmp_path: Path) -> None:
    kinds: dict[str, ColumnKind] = {"photo": "image", "note": "text"}
    rows, held_out = _rows("classification", 100, 1, kinds), _rows("classification", 40, 2, kinds)
    run = _run(rows, "classification", tmp_path, kinds)
    family = family_of(run.candidate)
    fitted = family.fit(rows, held_out, run)
    np.testing.assert_allclose(_raw(fitted, held_out).numpy(), fitted.raw.numpy(), atol=1e-4)
    again = family.fit(rows, held_out, _run(rows, "classification", tmp_path / "again", kinds))
    assert torch.equal(again.raw, fitted.raw)
    runs = [_run(rows, "classification", tmp_path / name, kinds) for name in "ab"]
    first, second = (family.refit(rows, [fitted.settings], each) for each in runs)
    assert first is not None
    assert second is not None
    assert first[0] == second[0]
    for name, tensor in first[1].state_dict().items():
        assert torch.equal(tensor, second[1].state_dict()[name]), name


def test_rows_with_images_are_learnt_by_what_reads_them() -> None:
    mixed = [Column(name="photo", kind="image"), Column(name="note", kind="text")]
    for preset in ("fast", "balanced", "quality"):
        found = candidates_for("mixed-classification", None, preset, None, mixed)
        assert [candidate.family for candidate in found] == ["fusion"]
    assert [each.name for each in candidates_for("mixed-classification", None, "balanced", None, mixed[1:])] == [
        "fusion-linear"
    ]
    with pytest.raises(Rejected, match="fusion-linear") as refusal:
        candidates_for("mixed-classification", ["fusion-linear"], "balanced", None, mixed)
    assert refusal.value.hint


def test_a_job_trains_and_packages_a_net_of_photo_number_and_text(cloud: Cloud) -> None:
    splits: dict[str, dict[str, list[Any]]] = {}
    for seed, (split, count) in enumerate({"train": 160, "validation": 60, "test": 60}.items()):
        cells, bits = _cells(count, seed)
        del cells["noise"]
        told = (bits[:, 0] + bits[:, 2] + bits[:, 3]).tolist()
        splits[split] = {**cells, "label": [f"{number} of three" for number in told]}
    chosen = {"name": "fusion", "family": "fusion", "hyperparameters": BRIEF}
    inputs: dict[str, str] = {name: kind for name, kind in KINDS.items() if name != "noise"}
    cloud.put_run("r1", "mixed-classification", inputs, splits, candidates=[chosen])
    assert cloud.job("train", "r1", "fusion") == 0
    assert cloud.job("package", "r1", "fusion") == 0
    outcome = cloud.json("default/runs/r1/package.json")
    folder = f"default/packages/{outcome['digest']}/"
    files = {name: objects.get("models", folder + name) for name in ("preprocess.json", "labels.json", "model.onnx")}
    features, labels = Features(json.loads(files["preprocess.json"])), json.loads(files["labels.json"])
    assert set(features.media) == {"photo"}
    arrays = features.arrays({name: splits["test"][name] for name in inputs})
    best = session_of(files["model.onnx"]).run(["probabilities"], arrays)[0].argmax(axis=1)
    right = np.mean([labels[place] == truth for place, truth in zip(best, splits["test"]["label"], strict=True)])
    assert right == pytest.approx(outcome["metrics"]["accuracy"]["value"], abs=1e-6)
    assert right > 0.8
