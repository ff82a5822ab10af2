"""Text families: what they learn, for each kind of answer; that what is exported and pruned answers alike."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from modelmill.core.model.task import Task
from modelmill.serving.features import Features
from modelmill.training.families.text import NgramEmbedding, NgramLinear
from modelmill.training.nets import Model, Net
from modelmill.training.nets.ngram import NgramNet, prune
from modelmill.training.objective import Calibration
from modelmill.training.rows import Rows
from tests.unit.model.texting import rows_of, run_of, stories

Family = NgramLinear | NgramEmbedding
FAMILIES: list[Family] = [NgramLinear(), NgramEmbedding(epochs=6)]
IDS = ["linear", "embedding"]


def _raw(net: Net, preprocess: dict[str, Any], rows: Rows) -> torch.Tensor:
    arrays = Features(preprocess).arrays(rows.columns)
    with torch.no_grad():
        raw: torch.Tensor = net(**{name: torch.from_numpy(array) for name, array in arrays.items()})
    return raw


def _as(task: Task, rows: Rows) -> Rows:
    """The same texts with tags, or with a measure, that their classes decide."""
    if task == "text-multilabel":
        tags = np.stack([rows.target == 0, rows.target > 0], axis=1).astype(np.float32)
        return Rows(rows.columns, tags)
    return Rows(rows.columns, rows.target * 10.0 + 100) if task == "text-regression" else rows


def _good(scores: dict[str, float]) -> bool:
    return scores["r2"] > 0.7 if "r2" in scores else scores.get("accuracy", scores.get("micro_f1", 0)) > 0.9


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
@pytest.mark.parametrize("task", ["text-classification", "text-multilabel", "text-regression"])
def test_every_kind_of_answer_is_learnt_and_refitted(tmp_path: Path, family: Family, task: Task) -> None:
    train, validation, test = (_as(task, stories(count, seed)) for seed, count in enumerate((600, 250, 200)))
    run = run_of(tmp_path, train, task)
    fitted = family.fit(train, validation, run)
    assert torch.allclose(fitted.raw, _raw(fitted.net, fitted.preprocess, validation), atol=1e-5)
    preprocess, net = family.refit(train + validation, [fitted.settings], run.part("again", 0.5, 1))
    scores = run.objective.scores(_raw(net, preprocess, test), run.objective.target(test))
    assert _good(scores)
    model = Model(net, run.objective, run.objective.calibrate(fitted.raw, run.objective.target(validation)))
    arrays = Features(preprocess).arrays({"text": ["", None, "lovely torn", "好" * 5_000, "never-seen 😀"]})
    served = ort.InferenceSession(model.onnx()).run(None, arrays)[0]
    assert np.abs(served - model.answers(arrays).numpy()).max() < 1e-4 * max(1.0, np.abs(served).max())


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_equal_rows_make_equal_models(tmp_path: Path, family: Family) -> None:
    train, validation = stories(200, 1), stories(60, 2)
    first, second = (family.fit(train, validation, run_of(tmp_path / name, train)) for name in "ab")
    assert first.preprocess == second.preprocess
    assert first.settings == second.settings
    assert all(torch.equal(first.net.state_dict()[name], tensor) for name, tensor in second.net.state_dict().items())


def test_pieces_know_words_that_were_never_seen(tmp_path: Path) -> None:
    train, validation = stories(500, 3), stories(250, 4)
    run = run_of(tmp_path, train)
    new = rows_of({"text": ["lovelier", "awfully awfuller", "perfection", "tornish"]}, np.array([1, 0, 1, 0]))
    fitted = NgramLinear().fit(train, validation, run)
    assert "pieces" in fitted.preprocess
    assert _raw(fitted.net, fitted.preprocess, new).argmax(1).tolist() == [1, 0, 1, 0]
    without = NgramLinear(pieces=0).fit(train, validation, run)
    assert "pieces" not in without.preprocess


def test_balanced_classes_find_the_rare_one_more_often(tmp_path: Path) -> None:
    rows = stories(600, 5, classes=3)
    noisy = np.where(np.random.default_rng(0).random(600) < 0.3, 0, rows.target)
    train = Rows(rows.columns, noisy)
    found = []
    for weights in ("none", "balanced"):
        run = run_of(tmp_path, train, labels=3, training={"class_weights": weights})
        preprocess, net = NgramLinear().refit(train, [{"penalty": 1.0, "power": 0.5, "pieces": False}], run)
        found.append(int((_raw(net, preprocess, train).argmax(1) > 0).sum()))
    assert found[1] > found[0]


@pytest.mark.parametrize("task", ["text-classification", "text-multilabel", "text-regression"])
def test_a_student_learns_what_its_teacher_says(tmp_path: Path, task: Task) -> None:
    truth, test = _as(task, stories(600, 6)), _as(task, stories(200, 7))
    random = np.random.default_rng(1)
    noise = random.random(600) < 0.4
    shuffled = truth.target.copy()
    shuffled[noise] = shuffled[random.permutation(np.flatnonzero(noise))]
    rows = Rows(truth.columns, shuffled)
    run = run_of(tmp_path, rows, task)
    target = torch.from_numpy(truth.target)
    answers = torch.nn.functional.one_hot(target, 2).float() if task == "text-classification" else target.float()
    preprocess, net = NgramLinear().fit_soft(rows, answers, run)
    raw = _raw(net, preprocess, test)
    scores = run.objective.scores(raw, run.objective.target(test))
    assert _good(scores)


def test_pruning_drops_what_matters_least(tmp_path: Path) -> None:
    train, test = stories(600, 8), stories(300, 9)
    run = run_of(tmp_path, train)
    fitted = NgramLinear().fit(train, stories(200, 10), run)
    assert isinstance(fitted.net, NgramNet)
    before = _raw(fitted.net, fitted.preprocess, test).argmax(1)
    net, preprocess = prune(fitted.net, fitted.preprocess, 0.3)
    known = len(fitted.preprocess["vocabulary"]) + len(fitted.preprocess.get("pieces", ()))
    assert len(preprocess["vocabulary"]) + len(preprocess.get("pieces", ())) == round(0.3 * known) == len(net.idf) - 1
    assert float((_raw(net, preprocess, test).argmax(1) == before).double().mean()) > 0.97
    whole, same = prune(fitted.net, fitted.preprocess, 1.0)
    assert same == fitted.preprocess
    assert torch.equal(whole.table, fitted.net.table)


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_odd_texts_are_trained_around(tmp_path: Path, family: Family) -> None:
    texts = ["", None, "   ", "😀😀", "酒店很好", "word " * 200_000, "x" * 1_000_000, "ok", "房间 bad 😀", "\u0000"]
    rows = rows_of({"t": texts * 3, "u": [None] * 30}, np.arange(30) % 2)
    run = run_of(tmp_path, rows)
    fitted = family.fit(rows, rows.take(np.arange(6)), run)
    model = Model(fitted.net, run.objective, Calibration())
    assert bool(torch.isfinite(model.answers(Features(fitted.preprocess).arrays(rows.columns))).all())
