"""A model of tensors: every datatype in JSON and as bytes gives the same; what does not fit is refused by name."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelmill.core.errors import ModelmillError
from modelmill.serving import binary
from modelmill.serving.graph import TensorModel, model_in
from modelmill.serving.model import UnusableModel
from modelmill.serving.tensors import check_request
from tests.unit.serve.kit import tensors_package, write


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TensorModel:
    folder = tmp_path_factory.mktemp("package")
    write(folder, tensors_package())
    model = model_in(folder)
    assert isinstance(model, TensorModel)
    return model


VALUES: dict[str, list[Any]] = {
    "BOOL": [True, False],
    "INT8": [-128, 127],
    "INT16": [-32768, 1],
    "INT32": [-(2**31), 0],
    "INT64": [-(2**63), 2**63 - 1],
    "UINT8": [0, 255],
    "UINT16": [1, 65535],
    "UINT32": [1, 2**32 - 1],
    "UINT64": [0, 2**64 - 1],
    "FP16": [0.5, -2],
    "FP32": [1, 0.25],
    "FP64": [0.1, 1e300],
    "BYTES": ["a", "好"],
    "matrix": [[1, 2, 3], [4, 5, 6]],
}


def tensor(name: str, data: Any, **more: Any) -> dict[str, Any]:
    shape = [2, 3] if name == "matrix" else [len(data)]
    return {"name": name, "datatype": "FP32" if name == "matrix" else name, "shape": shape, "data": data} | more


def request(**changed: Any) -> dict[str, Any]:
    return check_request({"inputs": [tensor(name, data) | changed.get(name, {}) for name, data in VALUES.items()]})


def test_every_datatype_goes_through_in_json(model: TensorModel) -> None:
    outputs, rows = model.infer(request())
    got = {output["name"]: list(output["data"]) for output in outputs}
    expected = {f"{name}_out": data for name, data in VALUES.items() if name != "matrix"}
    assert got == expected | {"sums": [6.0, 15.0]}
    assert rows == 2
    assert [output["datatype"] for output in outputs][:13] == list(VALUES)[:13]


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_bytes_and_json_give_the_same(model: TensorModel, data: st.DataObject) -> None:
    changed, raw = {}, {}
    for name in (*binary.DTYPES, "BYTES"):
        if name == "BYTES":
            values: Any = data.draw(st.lists(st.text(max_size=5), min_size=2, max_size=2))
            as_json = values
        else:
            values = data.draw(
                hnp.arrays(
                    binary.DTYPES[name],
                    2,
                    elements={"allow_nan": False, "allow_infinity": False} if name[0] == "F" else None,
                )
            )
            as_json = orjson.loads(orjson.dumps(values.tolist()))
        changed[name] = {"data": as_json}
        raw[name] = {"data": binary.decode(name, binary.encode(values), name)}
    ours, theirs = model.infer(request(**changed))[0], model.infer(request(**raw))[0]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one["data"], other["data"])


def test_outputs_can_be_chosen(model: TensorModel) -> None:
    outputs, _ = model.infer(request() | {"outputs": [{"name": "sums"}]})
    assert [output["name"] for output in outputs] == ["sums"]
    with pytest.raises(ModelmillError, match="no output 'nothing'"):
        model.infer(request() | {"outputs": [{"name": "nothing"}]})


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("FP32", {"data": ["1", 2]}, r"data\[0\] must be a number, got a string"),
        ("FP32", {"data": [None, 2]}, r"data\[0\] must be a number, got null"),
        ("FP32", {"data": [3.5, True]}, r"data\[1\] must be a number, got a boolean"),
        ("FP32", {"data": [1e39, 0]}, "a number that FP32 does not hold"),
        ("FP16", {"data": [70000, 0]}, "a number that FP16 does not hold"),
        ("INT8", {"data": [128, 0]}, "a number that INT8 does not hold"),
        ("UINT64", {"data": [-1, 0]}, "a number that UINT64 does not hold"),
        ("INT64", {"data": [1.5, 0]}, "got a number"),
        ("INT64", {"data": [False, 7]}, r"data\[0\] must be a number, got a boolean"),
        ("BOOL", {"data": [1, 0]}, "must be true or false"),
        ("BYTES", {"data": ["a", 1]}, "must be a string"),
        ("BYTES", {"data": "ab"}, "data must be a list, got a string"),
        ("FP32", {"data": [1]}, r"has 1 values and the shape \[2\]"),
        ("FP32", {"shape": [1, 2]}, r"the model wants \[-1\]"),
        ("FP32", {"shape": [-2]}, "has the shape"),
        ("FP32", {"shape": [True]}, "has the shape"),
        ("FP32", {"shape": None}, "has the shape None"),
        ("matrix", {"shape": [3, 2]}, r"the model wants \[-1, 3\]"),
        ("matrix", {"data": [[1, 2, 3], 4]}, "not evenly nested"),
        ("FP32", {"datatype": "FP64"}, "must have the datatype FP32, got 'FP64'"),
        ("FP32", {"datatype": "BF16"}, "'BF16', which is not supported"),
        ("FP32", {"datatype": 5}, "not supported"),
        ("FP32", {"name": "nobody"}, "no input of this model"),
        ("FP32", {"name": "FP64", "datatype": "FP64"}, "given twice"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(model: TensorModel, name: str, change: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelmillError, match=says) as caught:
        model.infer(request(**{name: change}))
    assert caught.value.status == 400
    assert str(change.get("name", name)) in caught.value.message


def test_a_missing_input_is_named(model: TensorModel) -> None:
    with pytest.raises(ModelmillError, match="'INT8' is missing"):
        model.infer({"inputs": [each for each in request()["inputs"] if each["name"] != "INT8"]})


def test_a_signature_that_is_not_the_graphs_is_unusable(tmp_path: Path) -> None:
    files = tensors_package()
    write(tmp_path, files | {"signature.json": files["signature.json"].replace(b"FP64", b"FP32")})
    with pytest.raises(UnusableModel, match="not that of the graph"):
        model_in(tmp_path)
