"""The server over HTTP, in process: answers equal to the function's, keys, routes that move, SageMaker's paths."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelmill.aws.clients import client
from modelmill.aws.records import keys, models
from modelmill.core.serve.route import Route
from modelmill.serving.model import Model
from modelmill.serving.registry import AwsRegistry
from modelmill.serving.server.folders import FolderRegistry
from modelmill.serving.server.keys import Keys
from modelmill.serving.server.service import Service
from modelmill.serving.server.steady import SteadyPlane
from tests.functions.serve.predicting import Predict
from tests.unit.serve.kit import TENANT, event, publish, tabular_package, tensors_package, text_package, write
from tests.unit.serve.running import Running, running

REVIEWS = "/v1/models/reviews/predict"
GOOD = {"instances": [{"text": "good"}]}


@pytest.fixture
def key(predict: Predict) -> str:  # noqa: ARG001 - its models must be there
    return keys.create(TENANT, "test")


@pytest.fixture
def server(key: str) -> Iterator[Running]:  # noqa: ARG001 - the cloud must stand
    with running(Service(SteadyPlane(AwsRegistry()), Keys(keys.find), (TENANT, "people"))) as server:
        yield server


def tensor(name: str, datatype: str, data: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data} | more


def infer(*inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"inputs": list(inputs)} | more


AGE, COLOUR = tensor("age", "FP64", [1.5, None]), tensor("colour", "BYTES", ["red", "好"])


@pytest.mark.parametrize(
    "asked",
    [
        ("GET", "/v2/health/live", None),
        ("GET", "/v2/health/ready", None),
        ("GET", "/v2", None),
        ("GET", "/v2/models/people", None),
        ("GET", "/v2/models/people/versions/1/ready", None),
        ("GET", "/v2/models/nobody/ready", None),
        ("GET", "/v2/nowhere", None),
        ("GET", REVIEWS, None),
        ("POST", REVIEWS, GOOD),
        ("POST", "/v1/models/reviews/versions/1/predict", GOOD),
        ("POST", "/v1/models/reviews/versions/9/predict", GOOD),
        ("POST", "/v1/models/people/predict", {"instances": [{"age": 1, "colour": "red"}, {"age": None}]}),
        ("POST", REVIEWS, {"instances": [{"text": 5.5}, {}]}),
        ("POST", REVIEWS, "{nonsense"),
        ("POST", REVIEWS, None),
        ("POST", "/v2/models/people/infer", infer(AGE, COLOUR, id="x")),
        ("POST", "/v2/models/people/versions/1/infer", infer(AGE, outputs=[{"name": "label"}])),
        ("POST", "/v2/models/people/infer", infer(AGE, AGE)),
        ("POST", "/v2/models/people/infer", infer(AGE | {"datatype": "BF16"})),
    ],
)
def test_answers_are_those_of_the_function(
    predict: Predict, server: Running, key: str, asked: tuple[str, str, object]
) -> None:
    method, path, body = asked
    ours = body.encode() if isinstance(body, str) else body
    status, headers, answer = server.raw(method, path, ours, Authorization=f"Bearer {key}")
    expected = predict(path, body, method=method)
    got = json.loads(answer)
    for document in (got, expected[1]):
        if isinstance(document.get("error"), dict):
            document["error"].pop("request_id")
    assert (status, got) == expected
    assert headers["content-type"] == predict.reply["headers"]["Content-Type"]


def binary_request() -> tuple[bytes, str]:
    inputs = [
        {"name": "age", "datatype": "FP16", "shape": [2, 1], "parameters": {"binary_data_size": 4}},
        {"name": "colour", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 14}},
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    rest = np.array([1.5, np.nan], "<f2").tobytes() + b"\x03\0\0\0red\x03\0\0\0\xe5\xa5\xbd"
    return head + rest, str(len(head))


def test_binary_tensors_answer_as_json_does_over_both_wires(predict: Predict, server: Running, key: str) -> None:
    body, length = binary_request()
    sent = {"Inference_Header_Content_Length": length, "Accept": "application/octet-stream"}
    status, headers, answer = server.raw("POST", "/v2/models/people/infer", body, Authorization=f"Bearer {key}", **sent)
    assert (status, headers["content-type"]) == (200, "application/octet-stream")
    proxied = event("/v2/models/people/infer", base64.b64encode(body).decode(), **sent) | {"isBase64Encoded": True}
    reply = predict.module.handler(proxied, None)
    assert (base64.b64decode(reply["body"]), reply["isBase64Encoded"]) == (answer, True)
    head = int(headers["inference-header-content-length"])
    assert str(head) == reply["headers"]["Inference-Header-Content-Length"]
    outputs = json.loads(answer[:head])["outputs"]
    assert [each["parameters"]["binary_data_size"] for each in outputs] == [13, 16]
    _, as_json = predict("/v2/models/people/infer", infer(AGE, COLOUR))
    probabilities = np.frombuffer(answer[head + 13 :], "<f4").tolist()
    assert probabilities == as_json["outputs"][1]["data"]


def test_a_function_refuses_binary_that_the_gateway_would_spoil(predict: Predict) -> None:
    assert predict("/v2/models/people/infer", "\x00", Inference_Header_Content_Length="1")[0] == 415
    body, length = binary_request()
    request = event("/v2/models/people/infer", base64.b64encode(body).decode(), Inference_Header_Content_Length=length)
    status, answer = predict.send(request | {"isBase64Encoded": True})
    assert (status, "Accept: application/octet-stream" in answer["error"]) == (406, True)


def test_only_health_needs_no_key(server: Running, key: str) -> None:
    assert server.call("GET", "/v2/health/live")[0] == 200
    for authorization in ("", "Bearer mm_nobody", f"Basic {key}", key):
        assert server.call("GET", "/v2", Authorization=authorization)[0] == 401
        assert server.call("POST", REVIEWS, GOOD, Authorization=authorization)[0] == 401
    other = keys.create("globex", "other")
    assert server.call("POST", REVIEWS, GOOD, Authorization=f"Bearer {other}")[0] == 404


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_new_route_counts_once_its_model_is_loaded_and_nobody_waits(server: Running, key: str) -> None:
    head = {"Authorization": f"Bearer {key}"}
    assert server.call("POST", REVIEWS, GOOD, **head)[1]["version"] == "1"
    publish("reviews", text_package(good=-9.0))
    plane = server.service.plane
    assert isinstance(plane, SteadyPlane)
    assert server.call("POST", REVIEWS, GOOD, **head)[1]["version"] == "1"  # not read again by a request
    plane.refresh()
    loads = plane._models._loading
    status, answer = server.call("POST", REVIEWS, GOOD, **head)
    assert (status, answer["version"], answer["predictions"][0]["label"], loads) == (200, "2", "no", {})


def test_the_old_version_answers_if_the_new_one_cannot_be_loaded(server: Running, key: str) -> None:
    head = {"Authorization": f"Bearer {key}"}
    assert server.call("POST", REVIEWS, GOOD, **head)[0] == 200
    digest = publish("reviews", text_package(good=5.0))
    client("s3").put_object(Bucket="models", Key=f"{TENANT}/packages/{digest}/model.onnx", Body=b"other")
    server.service.plane.refresh()
    assert server.call("POST", REVIEWS, GOOD, **head)[1]["version"] == "1"


def test_a_faulty_registry_leaves_what_is_known(server: Running, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    head = {"Authorization": f"Bearer {key}"}
    assert server.call("POST", REVIEWS, GOOD, **head)[0] == 200
    monkeypatch.setenv("MODELMILL_TABLE", "gone")
    server.service.plane.refresh()
    assert server.call("POST", REVIEWS, GOOD, **head)[0] == 200
    status, headers, _ = server.raw("POST", "/v1/models/people/predict", {"instances": [{"age": 1}]}, **head)
    assert (status, headers["retry-after"]) == (503, "5")


def test_a_sticky_key_gets_one_version(server: Running, key: str) -> None:
    publish("reviews", text_package(good=7.0))
    record = models.get(TENANT, "reviews")
    assert record
    models.set_route(TENANT, "reviews", Route({"1": 0.5, "2": 0.5}), revision=record["revision"], who="test")
    head = {"Authorization": f"Bearer {key}"}
    asked = [
        {server.call("POST", REVIEWS, GOOD, X_Modelmill_Key=f"k{n}", **head)[1]["version"] for _ in range(3)}
        for n in range(20)
    ]
    assert all(len(versions) == 1 for versions in asked)
    assert {version for versions in asked for version in versions} == {"1", "2"}


def test_sagemakers_paths(server: Running) -> None:
    assert server.call("GET", "/ping") == (200, {})
    status, answer = server.call("POST", "/invocations", {"instances": [{"age": 1}]})
    assert (status, answer["model"]) == (200, "people")
    status, answer = server.call("POST", "/invocations", infer(AGE))
    assert (status, answer["model_name"]) == (200, "people")
    body, length = binary_request()
    assert server.raw("POST", "/invocations", body, Inference_Header_Content_Length=length)[0] == 200
    assert server.call("POST", "/invocations", [])[0] == 400


def test_not_ready_until_told_and_while_draining(server: Running, key: str) -> None:
    server.service.ready = False
    assert server.call("GET", "/v2/health/live")[0] == 200
    assert [server.call("GET", path)[0] for path in ("/v2/health/ready", "/ping")] == [503, 503]
    server.service.ready = True
    server.service.draining = True
    status, headers, _ = server.raw("POST", REVIEWS, GOOD, Authorization=f"Bearer {key}")
    assert (status, headers["connection"]) == (200, "close")
    assert server.call("GET", "/v2/health/ready")[0] == 503


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "reviews", text_package())
    write(tmp_path / "people", tabular_package())
    write(tmp_path / "echo", tensors_package())
    return tmp_path


@pytest.fixture
def local(folder: Path) -> Iterator[Running]:
    with running(Service(SteadyPlane(FolderRegistry(folder)), Keys(None))) as server:
        yield server


def test_folders_are_served_without_keys_and_reloaded(local: Running, folder: Path) -> None:
    assert local.call("POST", REVIEWS, GOOD)[1]["predictions"][0]["label"] == "yes"
    write(folder / "reviews", text_package(good=-9.0))
    local.service.plane.refresh()
    assert local.call("POST", REVIEWS, GOOD)[1]["predictions"][0]["label"] == "no"
    assert local.call("POST", "/v1/models/..%2Freviews/predict", GOOD)[0] == 404


def test_a_changed_file_in_a_folder_is_refused(local: Running, folder: Path) -> None:
    (folder / "reviews" / "labels.json").write_bytes(b'["yes", "no"]')
    status, answer = local.call("POST", REVIEWS, GOOD)
    assert (status, answer["error"]["code"]) == (409, "tampered_package")


def test_a_model_of_tensors_refuses_rows(local: Running) -> None:
    status, answer = local.call("POST", "/v1/models/echo/predict", GOOD)
    assert (status, answer["error"]["code"]) == (400, "takes_tensors")


def test_slow_models_do_not_hold_up_fast_ones(local: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local.call("POST", REVIEWS, GOOD)[0] == 200
    assert local.call("GET", "/v2/models/people/ready")[0] == 200
    plane = local.service.plane
    assert isinstance(plane, SteadyPlane)
    slow = plane._models.peek("default", plane._versions.get("default", "people", "1")["digest"])
    assert isinstance(slow, Model)
    release = threading.Event()
    slow.seconds = 1.0
    monkeypatch.setattr(slow, "scores", lambda columns: (release.wait(5), Model.scores(slow, columns))[1])
    answers: list[int] = []
    rows = {"instances": [{"age": 1}]}
    asking = [
        threading.Thread(target=lambda: answers.append(local.call("POST", "/v1/models/people/predict", rows)[0]))
        for _ in range(3)
    ]
    for thread in asking:
        thread.start()
    until(lambda: local.service._waiting == 3)
    assert local.call("POST", REVIEWS, GOOD)[0] == 200
    assert answers == []
    release.set()
    for thread in asking:
        thread.join(10)
    assert answers == [200, 200, 200]


def test_too_many_waiting_requests_are_told_to_come_again(local: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelmill.serving.server.service._WAITING", 0)
    status, headers, _ = local.raw("POST", REVIEWS, GOOD)
    assert (status, headers["retry-after"]) == (503, "1")


def test_requests_are_counted_and_written_in_one_line(local: Running, capsys: pytest.CaptureFixture[str]) -> None:
    for body in (GOOD, GOOD, {}):
        local.call("POST", REVIEWS, body)
    capsys.readouterr()
    local.service.tally.flush()
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["model"], line["Requests"], line["Predictions"], line["ClientErrors"]) == ("reviews", 3, 2, 1)
    assert len(line["Latency"]) == 3
