"""The control plane's refusals: one shape for all, no other tenant's things on any route."""

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from modelmill.aws import objects, transfers
from modelmill.aws.records import datasets, models, pipelines
from modelmill.core.data.transfer import PlannedFile, Transfer
from modelmill.core.names import UploadKey
from tests.contract.gateway import Control
from tests.contract.test_records import dataset_version
from tests.contract.world import UPLOADS, event, load_function, moto_world

HANDLER = load_function("serve/control")
NAMES = {
    "dataset": "reviews",
    "model": "m",
    "version": "1",
    "other": "1",
    "run_id": "20261124T080000-0123456789",
    "upload_id": "u1",
}
BODIES: dict[tuple[str, str], Any] = {
    ("post", "/v1/pipelines"): {"source": {"key": "default/reviews/first/reviews.csv"}},
    ("post", "/v1/datasets/{dataset}/uploads/{upload_id}/parts"): {"numbers": [1]},
    ("post", "/v1/datasets/{dataset}/uploads/{upload_id}/complete"): {},
    ("put", "/v1/models/{model}/route"): {"weights": {"1": 1.0}},
}
# An upload makes a dataset of the caller's own, whatever others call theirs.
OWN = {("post", "/v1/datasets/{dataset}/uploads")}


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    with moto_world(monkeypatch):
        yield Control(HANDLER)


def routes(control: Control) -> list[tuple[str, str]]:
    status, document = control("GET", "/v1/openapi.json")
    assert status == 200
    return [(method, path) for path, methods in document["paths"].items() for method in methods]


def furnish(tenant: str) -> None:
    objects.put(UPLOADS, f"{tenant}/reviews/first/reviews.csv", b"x")
    coming = Transfer(files=[PlannedFile.of("a.csv", 10, multipart=True)], single=True)
    transfers.begin(transfers.Coming(UPLOADS, UploadKey(tenant, "reviews", "u1", ""), coming))
    datasets.add_version(tenant, dataset_version("1"))
    models.register(tenant, "m", "d1", {"status": "READY", "run_id": "r"})
    pipelines.start(tenant, NAMES["run_id"], {"dataset": "reviews", "upload": {}})


def test_another_tenants_things_look_like_nothing_on_every_route(control: Control) -> None:
    furnish("default")
    stranger = Control(HANDLER, "stranger")
    before = [control("GET", path) for path in ("/v1/models", "/v1/datasets", "/v1/pipelines", "/v1/models/m/route")]
    asked = [route for route in routes(control) if route not in OWN]
    assert len(asked) >= 17
    for method, path in asked:
        status, answer = stranger(method.upper(), path.format(**NAMES), BODIES.get((method, path)))
        if "{" in path or method == "post":
            assert (status, answer["error"]["code"]) == (404, "not_found"), (method, path, answer)
        else:
            assert list(answer.values()) == [[]], (path, answer)
    assert before == [
        control("GET", path) for path in ("/v1/models", "/v1/datasets", "/v1/pipelines", "/v1/models/m/route")
    ]


def test_the_owner_finds_all_of_it(control: Control) -> None:
    furnish("default")
    for method, path in routes(control):
        if method == "get":
            reply = control.send("GET", path.format(**NAMES))
            assert reply["statusCode"] == (307 if path.endswith("/report") else 200), path


def test_without_a_tenant_there_is_nothing_to_see(control: Control) -> None:
    asked = event("serve/control")
    del asked["requestContext"]["authorizer"]
    reply = control.module.handler(asked, None)
    assert (reply["statusCode"], json.loads(reply["body"])["error"]["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/nothing", (404, "not_found")),
        ("GET", "/v1/models/", (404, "not_found")),
        ("GET", "/docs", (404, "not_found")),
        ("POST", "/v1/models", (405, "method_not_allowed")),
        ("GET", "/v1/pipelines?limit=0", (422, "bad_request")),
        ("GET", "/v1/pipelines?limit=many", (422, "bad_request")),
        ("GET", "/v1/pipelines/" + "x" * 2_000, (422, "bad_request")),
        ("GET", "/v1/datasets/reviews/versions/" + "x" * 2_000, (422, "bad_request")),
        ("GET", "/v1/models/m/versions/" + "9" * 2_000, (404, "not_found")),
        ("GET", "/v1/models/%00", (422, "bad_name")),
        ("GET", "/v1/models/a%2Fb", (404, "not_found")),
        ("GET", "/v1/models/%ED%A0%80", (422, "bad_name")),
        ("GET", "/v1/models/default%23models", (422, "bad_name")),
    ],
)
def test_a_wrong_request_gets_the_error_shape(
    control: Control, method: str, path: str, expected: tuple[int, str]
) -> None:
    assert control.error(method, path)[:2] == expected


DEEP = '{"weights": ' + "[" * 900 + "]" * 900 + "}"


@pytest.mark.parametrize("body", ["{", "", "\xff", '{"weights": ' + "[" * 100_000, DEEP])
def test_a_body_that_is_no_json_is_refused(control: Control, body: str) -> None:
    models.register("default", "m", "d1", {"status": "READY"})
    reply = control.send("PUT", "/v1/models/m/route", body)
    assert reply["statusCode"] in (400, 422)
    assert json.loads(reply["body"])["error"]["message"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream", ""])
@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/v1/models/m/route"), ("POST", "/v1/pipelines"), ("POST", "/v1/datasets/reviews/uploads")],
)
def test_a_body_that_is_not_marked_as_json_is_415(control: Control, method: str, path: str, kind: str) -> None:
    models.register("default", "m", "d1", {"status": "READY"})
    status, code, _ = control.error(method, path, {"weights": {"1": 1.0}}, Content_Type=kind)
    assert (status, code) == (415, "unsupported_media_type")


def test_a_revision_that_no_route_reaches_is_refused(control: Control) -> None:
    models.register("default", "m", "d1", {"status": "READY"})
    body = {"weights": {"1": 1.0}, "revision": 10**60}
    assert control.error("PUT", "/v1/models/m/route", body)[:2] == (422, "bad_request")


def test_a_shadow_without_a_name_is_refused(control: Control) -> None:
    models.register("default", "m", "d1", {"status": "READY"})
    assert control.error("PUT", "/v1/models/m/route", {"weights": {"1": 1.0}, "shadow": ""})[0] == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "/v1/nothing", None), ("POST", "/v1/models", None), ("POST", "/v1/pipelines", {})],
)
def test_a_wrong_request_is_told_where_the_right_one_is_described(
    control: Control, method: str, path: str, body: Any
) -> None:
    error = control(method, path, body)[1]["error"]
    assert "/v1/openapi.json" in error["hint"]
    assert "Value error" not in error["message"]


def test_the_local_clouds_event_which_names_its_version_is_taken_too(control: Control) -> None:
    asked = event("serve/control") | {"version": "1.0"}
    assert control.module.handler(asked, None)["statusCode"] == 200


def test_the_message_names_the_field(control: Control) -> None:
    body = {"weights": {"1": "x"}, "colour": 1}
    message = control.error("PUT", "/v1/models/m/route", body)[2]
    assert "weights.1: " in message
    assert "colour: " in message


def test_a_wrong_method_says_which_is_right(control: Control) -> None:
    assert control.send("DELETE", "/v1/models")["headers"]["allow"] == "GET"


def test_a_fault_of_ours_is_logged_and_not_told(
    control: Control, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(models, "names", broken)
    # The logger took hold of standard output before pytest did.
    (wire,) = logging.getLogger("control").handlers
    assert isinstance(wire, logging.StreamHandler)
    monkeypatch.setattr(wire, "stream", sys.stdout)
    assert control.error("GET", "/v1/models") == (500, "internal", "something failed on our side; it was logged")
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert line["request_id"] == event("serve/control")["requestContext"]["requestId"]
    assert "secret detail" in line["exception"]


def test_the_description_is_whole(control: Control) -> None:
    document = control("GET", "/v1/openapi.json")[1]
    assert document["servers"] == [{"url": ".."}]
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert all(operation["tags"] and operation["description"] for operation in operations)
    assert all("ErrorBody" in json.dumps(operation["responses"]["4XX"]) for operation in operations)
    assert "HTTPValidationError" not in json.dumps(document)
