"""The gates between a trained net and a package: parity of the conversion."""

import json
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.torch import load

from modelmill.aws import objects
from modelmill.core.errors import Rejected
from modelmill.serving.features import Features
from modelmill.training.convert import check_parity
from modelmill.training.evaluate import answers_of_rows
from modelmill.training.nets import Model, net_of
from modelmill.training.objective import Calibration, objective_of
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
    return _model(cloud, candidate)


def _model(cloud: Cloud, candidate: str) -> tuple[Model, Features]:
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


@pytest.mark.parametrize("candidate", ["ngram-linear", "ngram-embedding", "linear", "tabm", "boosting"])
def test_the_conversion_agrees_on_edge_rows_and_gives_the_same_bytes_twice(cloud: Cloud, candidate: str) -> None:
    model, features = _trained(cloud, candidate)
    spec = cloud.specs["r1"]
    test = labelled(REVIEW_SPLITS["test"] if candidate.startswith("ngram") else MEASURED_SPLITS["test"], spec.labels)
    own = answers_of_rows(model, features, test)
    converted = model.onnx()
    assert converted == model.onnx()
    parity = check_parity(model, converted, features, test, own, spec)
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

    own = answers_of_rows(model, features, test)
    with pytest.raises(Rejected, match=r"row \d+: \d") as refusal:
        check_parity(model, _edited(model.onnx(), "table", wrong), features, test, own, spec)
    assert refusal.value.code == "parity"
    assert not any(word in refusal.value.message for word in ("lovely", "awful", "dress"))


@pytest.mark.parametrize("unit", [1e-25, 1.0, 1e25])
def test_a_wrong_conversion_of_a_measure_is_seen_in_every_unit(cloud: Cloud, unit: float) -> None:
    splits = {
        name: cells | {"label": [unit * len(word or "") for word in cells["colour"]]}
        for name, cells in MEASURED_SPLITS.items()
    }
    cloud.put_run("r1", "tabular-regression", MEASURED_INPUTS, splits)
    model, features = _model(cloud, "linear")
    test = rows_of({name: splits["test"][name] for name in MEASURED_INPUTS}, np.array(splits["test"]["label"]))
    own = answers_of_rows(model, features, test)
    check_parity(model, model.onnx(), features, test, own, cloud.specs["r1"])
    wrong = _edited(model.onnx(), "table", lambda table: table * 1.01)
    with pytest.raises(Rejected) as refusal:
        check_parity(model, wrong, features, test, own, cloud.specs["r1"])
    assert refusal.value.code == "parity"


def test_a_graph_that_gives_nan_is_refused(cloud: Cloud) -> None:
    model, features = _trained(cloud, "linear")
    spec = cloud.specs["r1"]
    test = labelled(MEASURED_SPLITS["test"], spec.labels)
    own = answers_of_rows(model, features, test)
    with pytest.raises(Rejected, match="inf"):
        check_parity(model, _edited(model.onnx(), "table", lambda table: table * np.nan), features, test, own, spec)
