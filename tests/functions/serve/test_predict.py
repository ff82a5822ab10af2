"""predict as Lambda calls it, in process: real packages, the registry on moto, API Gateway's events."""

import base64
import json
import math
from typing import Any

import pytest

from modelmill.aws import objects
from modelmill.aws.clients import client
from modelmill.aws.records import models
from modelmill.core.limits import INSTANCES_PER_REQUEST, LAMBDA_PAYLOAD_BYTES, TEXT_CHARACTERS
from modelmill.core.names import package_prefix
from modelmill.core.serve.route import Route
from tests.functions.serve.predicting import Predict
from tests.unit.serve.kit import BUCKET, TABLE, TENANT, event, publish, text_package

REVIEWS = "/v1/models/reviews/predict"
PEOPLE = "/v1/models/people/predict"


def instances(*rows: object) -> dict[str, Any]:
    return {"instances": list(rows)}


def test_texts_get_labels_scores_and_the_version_that_answered(predict: Predict) -> None:
    status, body = predict(REVIEWS, instances({"review": "Good, GOOD!"}, {"text": "a bad one"}, {"review": "很好"}))
    assert status == 200
    assert [row["label"] for row in body["predictions"]] == ["yes", "no", "yes"]
    assert (body["model"], body["version"]) == ("reviews", "1")
    first = body["predictions"][0]
    assert first["score"] == first["scores"]["yes"] == pytest.approx(1 / (1 + math.exp(-6)))
    assert sum(first["scores"].values()) == pytest.approx(1)
    assert predict.reply["headers"]["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("row", "yes"),
    [
        ({"age": 0, "colour": "red"}, 1 / (1 + math.exp(-3))),
        ({"age": "0.5"}, 1 / (1 + math.exp(-5))),
        ({"age": None, "colour": None}, 0.5),
        ({"age": "", "colour": "never seen"}, 0.5),
        ({"colour": 1}, 1 / (1 + math.exp(3))),
        ({"colour": 1.0}, 1 / (1 + math.exp(3))),
        ({"colour": "1", "unknown": [1, 2]}, 1 / (1 + math.exp(3))),
    ],
)
def test_rows_are_read_as_training_read_them(predict: Predict, row: dict[str, Any], yes: float) -> None:
    status, body = predict(PEOPLE, instances(row))
    assert status == 200
    assert body["predictions"][0]["scores"]["yes"] == pytest.approx(yes)


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (REVIEWS, None, 400, "empty"),
        (REVIEWS, '{"instances": [', 400, "line 1 column 16"),
        (REVIEWS, '{"instances": [{"review": NaN}]}', 400, "not JSON"),
        (PEOPLE, '{"instances": [{"age": 1e999}]}', 400, "not JSON"),
        (REVIEWS, [], 400, "must be an object, got a list"),
        (REVIEWS, {}, 400, "no 'instances'"),
        (REVIEWS, {"instances": {}}, 400, "must be a list, got an object"),
        (REVIEWS, {"instances": []}, 400, "is empty"),
        (REVIEWS, instances("text"), 400, "instances[0] must be an object, got a string"),
        (REVIEWS, instances({"review": "a"}, {"other": 1}), 400, "instances[1] has no field"),
        (REVIEWS, instances({"review": None}), 400, "instances[0] has no field"),
        (REVIEWS, instances({"review": ["a"]}), 400, "instances[0].review must be a string, got a list"),
        (REVIEWS, instances({"review": "a"}) | {"parameters": 1}, 400, "'parameters' must be an object"),
        (PEOPLE, instances({"age": "old"}), 400, "instances[0].age must be a number, got 'old'"),
        (PEOPLE, instances({"age": {}}), 400, "must be a number, got an object"),
        (PEOPLE, instances({}), 400, "has no field"),
        (PEOPLE, instances({"age": 1}, {"age": 3.4e38}), 422, "instance 1"),
        (REVIEWS, instances({"review": "x" * (TEXT_CHARACTERS + 1)}), 413, f"{TEXT_CHARACTERS + 1} characters"),
        (REVIEWS, instances(*[{"review": "a"}] * (INSTANCES_PER_REQUEST + 1)), 413, "1001 instances"),
        ("/v1/models/nobody/predict", instances({"a": 1}), 404, "no model named 'nobody'"),
        ("/v1/models/..%2F..%2Fx/predict", instances({"a": 1}), 404, "no model"),
        ("/v1/models/reviews/versions/7/predict", instances({"a": 1}), 404, "no version named '7'"),
        ("/v1/models/reviews/versions/x/predict", instances({"a": 1}), 404, "no version named 'x'"),
        ("/v1/models/nobody/versions/1/predict", instances({"a": 1}), 404, "no model named 'nobody'"),
        ("/v1/elsewhere", instances({"a": 1}), 404, "nothing at this path"),
    ],
)
def test_bad_requests_are_refused_with_cause(predict: Predict, path: str, body: object, status: int, says: str) -> None:
    got, answer = predict(path, body)
    assert got == status
    assert says in answer["error"]["message"]
    assert answer["error"]["request_id"] == "request-1"
    if status == 413:
        assert answer["error"]["limit"]
        assert answer["error"]["hint"]


def test_nan_gets_a_hint_and_no_field_lists_the_fields(predict: Predict) -> None:
    assert "null" in predict(REVIEWS, '{"instances": [{"review": NaN}]}')[1]["error"]["hint"]
    assert "age, colour" in predict(PEOPLE, instances({"x": 1}))[1]["error"]["hint"]


def test_a_model_without_a_route_says_how_to_give_it_one_and_answers_by_version(predict: Predict) -> None:
    publish("idle", text_package(), routed=False)
    status, body = predict("/v1/models/idle/predict", instances({"text": "good"}))
    assert status == 409
    assert "modelmill route idle" in body["error"]["hint"]
    assert predict("/v1/models/idle/versions/1/predict", instances({"text": "good"}))[0] == 200


def test_a_body_over_the_limit_is_413_and_one_at_the_limit_is_read(predict: Predict) -> None:
    room = LAMBDA_PAYLOAD_BYTES - len('{"instances": [], "x": ""}')
    assert predict(REVIEWS, '{"instances": [], "x": "' + "y" * room + '"}')[0] == 400
    status, body = predict(REVIEWS, '{"instances": [], "x": "' + "y" * (room + 1) + '"}')
    assert (status, body["error"]["limit"]) == (413, LAMBDA_PAYLOAD_BYTES)
    assert predict(REVIEWS, '{"x": "' + "好" * (LAMBDA_PAYLOAD_BYTES // 3) + '"}')[0] == 413


def test_base64_bodies_are_read_and_false_ones_refused(predict: Predict) -> None:
    request = event(REVIEWS, base64.b64encode(json.dumps(instances({"text": "好"})).encode()).decode())
    assert predict.send(request | {"isBase64Encoded": True})[0] == 200
    for false in ("%%%", "eyJ4IjoxfQ==!"):
        status, body = predict.send(event(REVIEWS, false) | {"isBase64Encoded": True})
        assert status == 400
        assert "base64" in body["error"]["message"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405_with_allow(predict: Predict, method: str) -> None:
    assert predict(REVIEWS, instances({"text": "a"}), method=method)[0] == 405
    assert predict.reply["headers"]["Allow"] == "POST"


def test_a_chinese_model_name_is_percent_decoded(predict: Predict) -> None:
    publish("评论", text_package())
    status, body = predict("/v1/models/%E8%AF%84%E8%AE%BA/predict/", instances({"text": "好"}))
    assert (status, body["model"]) == (200, "评论")
    assert predict("/v1/models/评论/predict", instances({"text": "好"}))[0] == 200


def test_a_name_in_decomposed_unicode_is_the_same_name(predict: Predict) -> None:
    publish("caf\u00e9", text_package())
    assert predict("/v1/models/cafe%CC%81/predict", instances({"text": "good"}))[0] == 200


def test_a_field_of_its_own_name_beats_the_alias(predict: Predict) -> None:
    _, body = predict(REVIEWS, instances({"review": "good", "text": "bad"}))
    assert body["predictions"][0]["label"] == "yes"


def test_another_tenant_sees_nothing_and_nobody_is_refused(predict: Predict) -> None:
    assert predict(REVIEWS, instances({"text": "a"}), tenant="other")[0] == 404
    assert predict("/v1/models/reviews/versions/1/predict", instances({"text": "a"}), tenant="other")[0] == 404
    assert predict(REVIEWS, instances({"text": "a"}), tenant=None)[0] == 401
    assert predict("/v2/health/live", method="GET", tenant=None) == (200, {"live": True})


def test_traffic_follows_the_weights_and_a_key_sticks(predict: Predict) -> None:
    publish("reviews", text_package(good=1.0), routed=False)
    models.set_route(TENANT, "reviews", Route({"1": 0.5, "2": 0.5}), revision=1, who="test")

    def version(key: str) -> str:
        answer: str = predict(REVIEWS, instances({"text": "good"}), X_Modelmill_Key=key)[1]["version"]
        return answer

    chosen = [version(f"key-{index}") for index in range(40)]
    assert set(chosen) == {"1", "2"}
    assert chosen == [version(f"key-{index}") for index in range(40)]
    assert predict("/v1/models/reviews/versions/2/predict", instances({"text": "good"}))[1]["version"] == "2"


def test_metrics_count_instances_faults_and_time(predict: Predict) -> None:
    predict(REVIEWS, instances({"text": "a"}, {"text": "b"}))
    metrics = predict.metrics
    assert {name: metrics[name] for name in ("tenant", "model", "version")} == {
        "tenant": TENANT,
        "model": "reviews",
        "version": "1",
    }
    assert [metrics[name] for name in ("Predictions", "Requests", "Errors", "ClientErrors")] == [2, 1, 0, 0]
    assert metrics["Latency"] > 0
    declared = metrics["_aws"]["CloudWatchMetrics"][0]
    assert declared["Dimensions"] == [["tenant", "model", "version"]]
    assert {metric["Name"] for metric in declared["Metrics"]} == {
        "Predictions",
        "Requests",
        "Errors",
        "ClientErrors",
        "Latency",
    }
    predict(REVIEWS, instances())
    assert [predict.metrics[name] for name in ("Predictions", "Errors", "ClientErrors", "version")] == [0, 0, 1, "1"]


def test_nobody_can_invent_dimensions(predict: Predict) -> None:
    for path in ("/v1/models/made-up/predict", "/v1/models/made-up/versions/3/predict", "/v2/models/made-up/infer"):
        predict(path, instances({"a": 1}))
        assert (predict.metrics["model"], predict.metrics["version"]) == ("-", "-")
    predict("/v1/models/reviews/versions/99/predict", instances({"a": 1}))
    assert (predict.metrics["model"], predict.metrics["version"]) == ("reviews", "-")


def test_no_line_holds_the_payload(predict: Predict) -> None:
    predict(PEOPLE, instances({"age": "secret-value"}))
    assert predict.lines[0] == {
        "level": "WARNING",
        "code": "bad_value",
        "status": 400,
        "request_id": "request-1",
        "tenant": TENANT,
        "model": "people",
        "version": "1",
    }
    assert "secret-value" not in json.dumps(predict.lines)


def test_a_fault_of_ours_is_a_500_that_says_nothing(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret-value")

    monkeypatch.setattr(type(predict.module.PLANE), "predict", broken)
    status, body = predict(REVIEWS, instances({"text": "a"}))
    assert (status, body["error"]["code"]) == (500, "internal")
    assert "secret-value" not in json.dumps([body, predict.lines])
    assert predict.lines[0]["type"] == "RuntimeError"
    assert predict.metrics["Errors"] == 1


def expire(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the cached routes and versions be old."""
    for cache in (predict.module.PLANE._routes, predict.module.PLANE._versions):
        monkeypatch.setattr(cache, "_clock", lambda: float("inf"))


def test_the_last_good_route_serves_while_the_registry_is_gone(
    predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predict(REVIEWS, instances({"text": "good"}))[0] == 200
    client("dynamodb").delete_table(TableName=TABLE)
    expire(predict, monkeypatch)
    assert predict(REVIEWS, instances({"text": "good"}))[0] == 200
    status, body = predict(PEOPLE, instances({"age": 1}))
    assert (status, body["error"]["code"]) == (503, "unavailable")
    assert predict.reply["headers"]["Retry-After"] == "5"
    assert predict.metrics["Errors"] == 1


def test_the_last_good_version_serves_while_the_new_ones_package_cannot_be_read(
    predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predict(REVIEWS, instances({"text": "good"}))[0] == 200
    publish("reviews", text_package(good=1.0))
    bucket = client("s3")
    for key in objects.keys(BUCKET, ""):
        bucket.delete_object(Bucket=BUCKET, Key=key)
    bucket.delete_bucket(Bucket=BUCKET)
    expire(predict, monkeypatch)
    status, body = predict(REVIEWS, instances({"text": "good"}))
    assert (status, body["version"]) == (200, "1")
    assert predict("/v1/models/reviews/versions/2/predict", instances({"text": "good"}))[0] == 503


def test_a_tampered_package_is_refused_and_the_next_model_still_answers(predict: Predict) -> None:
    digest = publish("reviews", text_package(good=1.0))
    key = package_prefix(TENANT, digest) + "model.onnx"
    data = bytearray(objects.get(BUCKET, key))
    data[len(data) // 2] ^= 1
    objects.put(BUCKET, key, bytes(data))
    status, body = predict(REVIEWS, instances({"text": "good"}))
    assert (status, body["error"]["code"]) == (409, "tampered_package")
    assert predict.lines[0]["code"] == "tampered_package"
    assert predict(PEOPLE, instances({"age": 1}))[0] == 200


def test_an_answer_that_no_function_can_return_is_413(predict: Predict) -> None:
    labels = ["n" * 4_000, "y" * 4_000]
    publish("wordy", text_package() | {"labels.json": json.dumps(labels).encode()})
    path = "/v1/models/wordy/predict"
    assert predict(path, instances(*[{"text": "good"}] * 100))[0] == 200
    status, body = predict(path, instances(*[{"text": "good"}] * 1_000))
    assert (status, body["error"]["limit"]) == (413, LAMBDA_PAYLOAD_BYTES)
    assert "fewer" in body["error"]["hint"]
