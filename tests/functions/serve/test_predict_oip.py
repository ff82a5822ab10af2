"""predict's Open Inference Protocol v2 side: health, metadata, infer with JSON tensors."""

from typing import Any

import pytest

from modelmill.core.version import VERSION
from tests.functions.serve.predicting import Predict

REVIEWS = "/v2/models/reviews/infer"
PEOPLE = "/v2/models/people/infer"


def tensor(name: str, datatype: str, data: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data} | more


REVIEW = tensor("review", "BYTES", ["good", "bad"])


def test_health_and_server_metadata(predict: Predict) -> None:
    assert predict("/v2/health/live", method="GET") == (200, {"live": True})
    assert predict("/v2/health/ready", method="GET") == (200, {"ready": True})
    assert predict("/v2", method="GET") == (
        200,
        {"name": "modelmill", "version": VERSION, "extensions": ["binary_tensor_data"]},
    )


@pytest.mark.parametrize("path", ["/v2/models/people", "/v2/models/people/versions/1"])
def test_model_metadata_is_the_signature(predict: Predict, path: str) -> None:
    status, body = predict(path, method="GET")
    assert status == 200
    assert body == {
        "name": "people",
        "versions": ["1"],
        "platform": "onnxruntime_onnxv1",
        "inputs": [
            {"name": "age", "datatype": "FP64", "shape": [-1]},
            {"name": "colour", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
        ],
    }
    assert predict(path + "/ready", method="GET") == (200, {"name": "people", "ready": True})


def test_infer_answers_every_output_and_echoes_the_id(predict: Predict) -> None:
    status, body = predict(REVIEWS, {"id": "7", "parameters": {"x": 1}, "inputs": [REVIEW]})
    assert status == 200
    assert (body["id"], body["model_name"], body["model_version"]) == ("7", "reviews", "1")
    label, probabilities = body["outputs"]
    assert label == {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["yes", "no"]}
    assert (probabilities["datatype"], probabilities["shape"]) == ("FP32", [2, 2])
    assert sum(probabilities["data"]) == pytest.approx(2)
    assert predict.metrics["Predictions"] == 2
    assert "id" not in predict(REVIEWS, {"inputs": [REVIEW]})[1]


def test_infer_equals_predict(predict: Predict) -> None:
    _, tensors = predict(
        PEOPLE, {"inputs": [tensor("age", "FP64", [0.1, None]), tensor("colour", "BYTES", ["red", None])]}
    )
    rows = [{"age": 0.1, "colour": "red"}, {"age": None, "colour": None}]
    _, answer = predict("/v1/models/people/predict", {"instances": rows})
    assert tensors["outputs"][0]["data"] == [row["label"] for row in answer["predictions"]]
    assert tensors["outputs"][1]["data"] == [score for row in answer["predictions"] for score in row["scores"].values()]


@pytest.mark.parametrize(
    "inputs",
    [
        [tensor("age", "FP32", [1.5])],
        [tensor("age", "INT64", [[1]], shape=[1, 1])],
        [tensor("age", "UINT8", [1]), tensor("colour", "BYTES", ["red"], parameters={"content_type": "str"})],
        [tensor("colour", "BYTES", [["red"], ["1"]], shape=[2, 1])],
    ],
)
def test_number_types_nested_data_and_absent_columns_are_taken(predict: Predict, inputs: list[dict[str, Any]]) -> None:
    assert predict(PEOPLE, {"inputs": inputs})[0] == 200


def test_only_the_outputs_that_were_asked_for_come_back(predict: Predict) -> None:
    _, body = predict(REVIEWS, {"inputs": [REVIEW], "outputs": [{"name": "label"}]})
    assert [output["name"] for output in body["outputs"]] == ["label"]
    assert len(predict(REVIEWS, {"inputs": [REVIEW], "outputs": []})[1]["outputs"]) == 2


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ([], 400, "must be an object"),
        ({}, 400, "'inputs' must be a list"),
        ({"inputs": []}, 400, "at least one"),
        ({"inputs": ["x"]}, 400, "an object with a 'name'"),
        ({"inputs": [{"name": 1}]}, 400, "an object with a 'name'"),
        ({"inputs": [REVIEW], "id": 7}, 400, "'id' must be a string, got a number"),
        ({"inputs": [REVIEW], "parameters": []}, 400, "'parameters' must be an object, got a list"),
        ({"inputs": [REVIEW], "outputs": {}}, 400, "'outputs' must be a list"),
        ({"inputs": [REVIEW], "outputs": [{"name": "x"}]}, 400, "no output 'x'; it has: label, probabilities"),
        ({"inputs": [tensor("x", "BYTES", ["a"])]}, 400, "inputs[0] (x) is no input of this model; it knows: review"),
        ({"inputs": [REVIEW, REVIEW]}, 400, "given twice"),
        ({"inputs": [tensor("review", "FP32", [1.0])]}, 400, "the datatype BYTES, got 'FP32'"),
        ({"inputs": [tensor("review", "BYTES", [])]}, 400, "no rows"),
        ({"inputs": [tensor("review", "BYTES", ["a"], shape=[2])]}, 400, "1 values and the shape [2]"),
        ({"inputs": [tensor("review", "BYTES", ["a"], shape="x")]}, 400, "1 values and the shape x"),
        ({"inputs": [tensor("review", "BYTES", ["a"], shape=[1, 1, 1])]}, 400, "[rows] or [rows, 1]"),
        ({"inputs": [tensor("review", "BYTES", [["a", "b"]])]}, 400, "a list of one value"),
        ({"inputs": [tensor("review", "BYTES", [1])]}, 400, "data[0] must be a string, got a number"),
        ({"inputs": [tensor("review", "BYTES", [None])]}, 400, "row 0"),
        ({"inputs": [{"name": "review", "datatype": "BYTES", "shape": [1]}]}, 400, "data must be a list, got null"),
        ({"inputs": [tensor("review", "BYTES", ["a"] * 1_001)]}, 413, "1001 rows; limit 1000"),
        ({"inputs": [REVIEW | {"parameters": {"binary_data_size": 9}}]}, 400, "0 bytes are left for it"),
        ({"inputs": [REVIEW], "outputs": [{"name": "label", "parameters": {"binary_data": True}}]}, 406, "send Accept"),
        ({"inputs": [REVIEW], "parameters": {"binary_data_output": True}}, 406, "send Accept"),
    ],
)
def test_bad_infer_requests_are_refused_in_the_protocols_shape(
    predict: Predict, body: object, status: int, says: str
) -> None:
    got, answer = predict(REVIEWS, body)
    assert got == status
    assert list(answer) == ["error"]
    assert says in answer["error"]


def test_optional_fields_may_be_null_as_some_clients_write_them(predict: Predict) -> None:
    absent = {"id": None, "parameters": None, "outputs": None}
    status, body = predict(REVIEWS, {"inputs": [REVIEW | {"parameters": None}], **absent})
    assert (status, "id" in body, len(body["outputs"])) == (200, False, 2)


def test_a_compressed_body_is_415_and_says_so(predict: Predict) -> None:
    status, body = predict(REVIEWS, "\x1f", Content_Encoding="gzip")
    assert (status, "gzip" in body["error"]) == (415, True)
    assert predict(REVIEWS, {"inputs": [REVIEW]}, Content_Encoding="identity")[0] == 200


def test_uneven_inputs_and_wrong_numbers_are_refused(predict: Predict) -> None:
    uneven = {"inputs": [tensor("age", "FP64", [1.0]), tensor("colour", "BYTES", ["a", "b"])]}
    assert "differ in rows" in predict(PEOPLE, uneven)[1]["error"]
    values: list[Any] = ["1", True, []]
    for value in values:
        assert predict(PEOPLE, {"inputs": [tensor("age", "FP64", [value])]})[0] == 400


def test_binary_bodies_that_came_as_text_are_415_whatever_they_hold(predict: Predict) -> None:
    status, body = predict(REVIEWS, "\x00\x01", Inference_Header_Content_Length="1")
    assert status == 415
    assert "JSON" in body["error"]


def test_unknown_models_versions_and_methods(predict: Predict) -> None:
    assert predict("/v2/models/nobody", method="GET")[0] == 404
    assert predict("/v2/models/reviews/versions/9/ready", method="GET")[0] == 404
    assert predict("/v2/models", method="GET")[0] == 404
    assert predict("/v2/models/reviews", method="HEAD")[0] == 405
    assert predict.reply["headers"]["Allow"] == "GET"
