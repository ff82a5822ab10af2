"""The gates between a trained net and a package: parity of the conversion, harmlessness of int8."""

import json
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import load

from modelmill.aws import objects
from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Optimise, Recipe
from modelmill.core.model.spec import RunSpec
from modelmill.serving.features import Features
from modelmill.training.convert import check_parity, run, session_of
from modelmill.training.nets import Model, net_of
from modelmill.training.nets.ngram import NgramNet
from modelmill.training.objective import Calibration, Classes, objective_of
from modelmill.training.optimise import optimise
from modelmill.training.rows import Rows
from tests.unit.model.samples import (
    MEASURED_INPUTS,
    MEASURED_SPLITS,
    REVIEW_INPUTS,
    REVIEW_SPLITS,
    labelled,
    rows_of,
)
from tests.unit.model.world import Cloud


def _trained(cloud: Cloud, candidate: str) -> tuple[Model, Features]:
    if candidate.startswith("ngram"):
        cloud.put_run("r1", "text-classification", REVIEW_INPUTS, REVIEW_SPLITS)
    else:
        cloud.put_run("r1", "tabular-classification", MEASURED_INPUTS, MEASURED_SPLITS)
    assert cloud.job("train", "r1", candidate) == 0
    folder = f"default/runs/r1/candidates/{candidate}/"
    preprocess, config = (json.loads(objects.get("models", folder + name)) for name in ("preprocess.json", "net.json"))
    calibration = Calibration(**config.pop("calibration"))
    net = net_of(config, load(objects.get("models", folder + "weights.safetensors")))
    return Model(net, objective_of(cloud.specs["r1"]), calibration), Features(preprocess)


def _edited(model: bytes, name: str, change: Any) -> bytes:
    proto = onnx.load_from_string(model)
    for constant in proto.graph.initializer:
        if constant.name == name:
            constant.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(constant).copy()), name))
    edited: bytes = proto.SerializeToString()
    return edited


@pytest.mark.parametrize("candidate", ["ngram-linear", "ngram-embedding", "linear", "mlp"])
def test_the_conversion_agrees_on_edge_rows_and_gives_the_same_bytes_twice(cloud: Cloud, candidate: str) -> None:
    model, features = _trained(cloud, candidate)
    spec = cloud.specs["r1"]
    test = labelled(REVIEW_SPLITS["test"] if candidate.startswith("ngram") else MEASURED_SPLITS["test"], spec.labels)
    converted = model.onnx()
    assert converted == model.onnx()
    parity = check_parity(model, converted, features, test, spec)
    assert parity["rows"] == len(test) + parity["edge_rows"]
    assert parity["edge_rows"] >= 8
    assert parity["max_difference"] < 1e-5


def test_a_wrong_conversion_is_refused_with_rows_and_numbers_but_no_content(cloud: Cloud) -> None:
    model, features = _trained(cloud, "ngram-linear")
    spec = cloud.specs["r1"]
    test = labelled(REVIEW_SPLITS["test"], spec.labels)

    def wrong(table: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        table[3, 0] += 0.5
        return table

    with pytest.raises(Rejected, match=r"row \d+: \d") as refusal:
        check_parity(model, _edited(model.onnx(), "table", wrong), features, test, spec)
    assert refusal.value.code == "parity"
    assert not any(word in refusal.value.message for word in ("lovely", "awful", "dress"))


def test_a_graph_that_gives_nan_is_refused(cloud: Cloud) -> None:
    model, features = _trained(cloud, "linear")
    spec = cloud.specs["r1"]
    test = labelled(MEASURED_SPLITS["test"], spec.labels)
    with pytest.raises(Rejected, match="inf"):
        check_parity(model, _edited(model.onnx(), "table", lambda table: table * np.nan), features, test, spec)


def _asking(**rule: Any) -> RunSpec:
    """A run whose recipe asks for this optimisation."""
    return RunSpec(
        run_id="r", tenant="t", dataset="d", dataset_version="v", data_prefix="p/", model="m",
        task="text-classification", target="label", inputs=[], labels=["a", "b"], candidates=[],
        recipe=Recipe(optimise=Optimise(**rule)),
    )  # fmt: skip


def _text_model(words: int) -> tuple[bytes, Features, Rows]:
    """A text model whose answer is decided by two words among many, and rows of them."""
    net = NgramNet(torch.cat([torch.zeros(1), torch.ones(words)]), 2, None)
    table = torch.zeros(words + 1, 2)
    table[1], table[2] = torch.tensor([1.0, -1.0]), torch.tensor([-1.0, 1.0])
    net.load_state_dict({"idf": net.idf, "table": table, "bias": torch.zeros(2)})
    vocabulary = [f"w{index}" for index in range(words)]
    features = Features({"kind": "text", "inputs": ["t"], "ngrams": [1, 1], "vocabulary": vocabulary})
    rows = rows_of({"t": ["w0 w5", "w1 w6"] * 20}, np.array([0, 1] * 20, dtype=np.int64))
    return Model(net, Classes(2), Calibration()).onnx(), features, rows


def test_int8_is_kept_when_it_is_smaller_and_as_good() -> None:
    model, features, rows = _text_model(20_000)
    served, report = optimise(model, features, rows, _asking())
    assert report["chosen"] == "int8"
    assert len(served) < len(model) / 2
    assert report["int8"]["bytes"] == len(served)
    right = run(session_of(served), features.arrays(rows.part(0, 2))).argmax(axis=1)
    assert right.tolist() == [0, 1]


def test_int8_of_a_tiny_model_is_not_smaller_and_dropped() -> None:
    model, features, rows = _text_model(10)
    served, report = optimise(model, features, rows, _asking())
    assert served == model
    assert report["chosen"] == "float32"
    assert "not smaller" in report["why"]


def test_int8_that_loses_accuracy_is_dropped() -> None:
    model, features, rows = _text_model(20_000)

    def spread(table: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        table[9] = 1e4  # one huge value makes the steps of int8 too coarse for all others
        return table

    served, report = optimise(_edited(model, "table", spread), features, rows, _asking(max_loss=0.01))
    assert report["chosen"] == "float32"
    assert "accuracy" in report["why"]
    assert report["int8"]["accuracy"] < report["float32"]["accuracy"]
    assert len(served) == len(model)


def test_int8_whose_answers_depend_on_neighbouring_rows_is_dropped(cloud: Cloud) -> None:
    model, features = _trained(cloud, "mlp")
    test = labelled(MEASURED_SPLITS["test"], cloud.specs["r1"].labels)
    _, report = optimise(model.onnx(), features, test, _asking(max_loss=1))
    assert report["chosen"] == "float32"
    assert "other rows" in report["why"]


def test_then_the_tables_alone_are_quantised_if_they_are_worth_it() -> None:
    torch.manual_seed(3)
    net = NgramNet(torch.cat([torch.zeros(1), torch.ones(20_000)]), 8, 2)
    torch.nn.init.normal_(net.table)
    vocabulary = [f"w{index}" for index in range(20_000)]
    features = Features({"kind": "text", "inputs": ["t"], "ngrams": [1, 1], "vocabulary": vocabulary})
    texts = [" ".join(f"w{(row * 37 + step * 101) % 20_000}" for step in range(5)) for row in range(64)]
    rows = rows_of({"t": texts}, np.zeros(64, dtype=np.int64))
    served, report = optimise(Model(net, Classes(2), Calibration()).onnx(), features, rows, _asking(max_loss=0.2))
    assert report["chosen"] == "int8-tables"
    assert report["int8"]["neighbours"] > 1e-4 > report["int8-tables"]["neighbours"]
    assert len(served) < report["float32"]["bytes"] / 3


def test_a_recipe_can_ask_for_no_int8() -> None:
    model, features, rows = _text_model(20_000)
    served, report = optimise(model, features, rows, _asking(int8=False))
    assert served == model
    assert report["chosen"] == "float32"
