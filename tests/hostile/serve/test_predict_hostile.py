"""Whatever is sent to predict, the answer is JSON with a status below 500 and no payload in the log."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.functions.serve.predicting import Predict
from tests.unit.serve.kit import event, publish, text_package

pytestmark = pytest.mark.usefixtures("cloud")
hostile = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

PATHS = [
    f"/{wire}/models/{model}{version}/{verb}"
    for wire, verb in (("v1", "predict"), ("v2", "infer"))
    for model in ("reviews", "people")
    for version in ("", "/versions/1")
]
KEYS = st.sampled_from(["instances", "inputs", "outputs", "parameters", "id", "name", "datatype", "shape", "data"])
FIELDS = st.sampled_from(["review", "text", "age", "colour", "label", "BYTES", "FP64", "INT64", "binary_data"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | FIELDS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | FIELDS | st.text(max_size=5), inner, max_size=5),
    max_leaves=25,
)
ROW = st.dictionaries(st.sampled_from(["review", "text", "age", "colour"]), SCALARS | JSON, max_size=4)
TENSOR = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["review", "age", "colour"]),
        "datatype": st.sampled_from(["BYTES", "FP64", "INT8", "BOOL"]),
        "shape": st.lists(st.integers(-1, 3), max_size=3) | JSON,
        "data": st.lists(SCALARS | st.lists(SCALARS, max_size=2), max_size=3) | JSON,
    }
)


def check(predict: Predict, request: dict[str, Any]) -> int:
    status, body = predict.send(request)
    assert status < 500, body
    assert isinstance(predict.reply["body"], str)
    assert (status == 200) != ("error" in body)
    return status


@hostile
@given(path=st.sampled_from(PATHS), body=st.text(max_size=200), encoded=st.booleans())
def test_any_text_as_body(predict: Predict, path: str, body: str, encoded: bool) -> None:
    check(predict, event(path, body) | {"isBase64Encoded": encoded})


@hostile
@given(path=st.sampled_from(PATHS), body=JSON)
def test_any_json_as_body(predict: Predict, path: str, body: Any) -> None:
    check(predict, event(path, json.dumps(body)))


@hostile
@given(path=st.sampled_from(PATHS[:4]), rows=st.lists(ROW | JSON, max_size=4))
def test_any_rows_as_instances(predict: Predict, path: str, rows: list[Any]) -> None:
    check(predict, event(path, json.dumps({"instances": rows})))


@hostile
@given(path=st.sampled_from(PATHS[4:]), tensors=st.lists(TENSOR, min_size=1, max_size=3), outputs=JSON)
def test_any_tensors_as_inputs(predict: Predict, path: str, tensors: list[Any], outputs: Any) -> None:
    check(predict, event(path, json.dumps({"inputs": tensors, "outputs": outputs})))
    check(predict, event(path, json.dumps({"inputs": tensors})))


@hostile
@given(
    path=st.text(alphabet=st.characters(exclude_categories=[]), max_size=30)
    | st.lists(
        st.sampled_from(["v1", "v2", "models", "versions", "%2e%2e", "%", "%00", "%ff", "é", "\ud800", "predict", "1"]),
        max_size=7,
    ).map("/".join),
    method=st.sampled_from(["GET", "POST", "HEAD", "TRACE", "\ud800", ""]),
    key=st.text(alphabet=st.characters(exclude_categories=[]), max_size=5),
)
@example(path="/\ud800", method="\ud800", key="\ud800")
def test_any_path_method_and_header(predict: Predict, path: str, method: str, key: str) -> None:
    check(predict, event(path, {"instances": [{"text": "a"}]}, method=method, X_Modelmill_Key=key))
    check(predict, event("/v1/models/reviews/predict", {"instances": [{"text": "a"}]}, X_Modelmill_Key=key))


@pytest.mark.parametrize(
    "body",
    [
        "[" * 200_000,
        '{"instances":' * 50_000,
        '{"instances": [{"text": "\\ud800"}]}',
        '{"instances": [{"text": "\\u0000\\uffff"}]}',
        '{"instances": [{"text": ' + "9" * 5_000 + "}]}",
        '{"inputs": [{"name": "review", "datatype": "BYTES", "shape": [1], "data": ' + "[" * 900 + "]" * 900 + "}]}",
        '{"inputs": [{"name": "review", "datatype": "BYTES", "shape": [99999999999999999999], "data": ["a"]}]}',
        '{"instances": [{"age": ' + "1" * 400 + "}]}",
        '{"instances": [{"age": "' + "1" * 5_000 + '"}]}',
        '{"instances": [{"age": "1e999999999"}]}',
        "\ud800",
        "null",
        "\ufeff{}",
    ],
)
def test_known_traps(predict: Predict, body: str) -> None:
    for path in PATHS:
        check(predict, event(path, body))


@pytest.mark.parametrize("missing", ["path", "httpMethod", "headers", "requestContext", "body", "isBase64Encoded"])
def test_an_event_that_lacks_a_part(predict: Predict, missing: str) -> None:
    request = event(PATHS[0], {"instances": [{"text": "a"}]})
    del request[missing]
    assert predict.send(request | {missing: None})[0] < 500
    assert predict.send(request)[0] < 500


def test_one_long_text_does_not_widen_a_thousand_short_ones(predict: Predict) -> None:
    words = [f"w{index}" for index in range(4_000)]
    publish("wide", text_package(more_words=words))
    rows = [{"text": " ".join(words)}] + [{"text": "good"}] * 999
    tracemalloc.start()
    status, _ = predict("/v1/models/wide/predict", {"instances": rows})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert status == 200
    # Ids and counts of all rows at the width of the longest would alone be 48 MB.
    assert peak < 24_000_000
