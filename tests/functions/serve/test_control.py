"""The control plane in process: uploads, runs and routes through API Gateway's events, on moto's AWS."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from modelmill.aws import objects
from modelmill.aws.records import audit, datasets, models, pipelines
from modelmill.core.data.sources import Source
from tests.contract.gateway import Control
from tests.contract.test_records import dataset_version
from tests.contract.world import UPLOADS, load_function, moto_world

KEY = "default/reviews/first/reviews.csv"
HANDLER = load_function("serve/control")


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    with moto_world(monkeypatch):
        yield Control(HANDLER)


def put_versions(count: int = 2) -> None:
    for number in range(1, count + 1):
        record = {"status": "READY", "run_id": f"run-{number}", "metrics": {}}
        models.register("default", "m", f"d{number}", record)


def start(control: Control, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    status, run = control("POST", "/v1/pipelines", body, **headers)
    assert status == 202, run
    return dict(run)


def input_of(run_id: str) -> dict[str, Any]:
    states = boto3.client("stepfunctions")
    machine = states.list_state_machines()["stateMachines"][0]["stateMachineArn"]
    arn = machine.replace(":stateMachine:", ":execution:") + f":{run_id}"
    return dict(json.loads(states.describe_execution(executionArn=arn)["input"]))


# --- uploads and datasets


def test_an_upload_link_takes_the_file_and_the_recipe_is_there_before(control: Control) -> None:
    body = {"file": "评论 1.csv", "size": 10, "recipe": {"target": "推荐"}}
    status, upload = control("POST", "/v1/datasets/reviews/uploads", body)
    assert status == 201
    assert (upload["bucket"], upload["method"], upload["expires_in"]) == (UPLOADS, "PUT", 3600)
    assert upload["key"] == f"default/reviews/{upload['upload_id']}/评论 1.csv"
    folder = upload["key"].rsplit("/", 1)[0]
    assert objects.get(UPLOADS, f"{folder}/recipe.yaml").decode() == "target: 推荐\n"
    assert requests.put(upload["url"], data=b"text,label", timeout=5).status_code == 200
    assert objects.get(UPLOADS, upload["key"]) == b"text,label"


def test_a_recipe_may_be_the_text_of_its_file(control: Control) -> None:
    body = {"file": "a.csv", "recipe": "target: label  # what we want to know\n"}
    _, upload = control("POST", "/v1/datasets/reviews/uploads", body)
    folder = upload["key"].rsplit("/", 1)[0]
    assert objects.get(UPLOADS, f"{folder}/recipe.yaml").decode() == "target: label\n"


def test_the_same_idempotency_key_gives_the_same_upload(control: Control) -> None:
    def ask(body: dict[str, Any], key: str) -> Any:
        return control("POST", "/v1/datasets/reviews/uploads", body, Idempotency_Key=key)

    first = ask({"file": "a.csv"}, "k1")[1]
    assert ask({"file": "a.csv"}, "k1")[1]["key"] == first["key"]
    assert ask({"file": "a.csv"}, "k2")[1]["key"] != first["key"]
    status, answer = ask({"file": "b.csv"}, "k1")
    assert (status, answer["error"]["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("dataset", "body", "expected"),
    [
        ("reviews", {"file": "a.csv", "size": 2**59}, (413, "upload_too_large")),
        ("reviews", {"file": "../a.csv"}, (422, "bad_file_name")),
        ("reviews", {"file": "recipe.yaml"}, (422, "bad_file_name")),
        ("reviews", {"file": ""}, (422, "bad_file_name")),
        ("reviews", {"file": "x" * 200}, (422, "bad_file_name")),
        ("reviews", {"file": "a\n.csv"}, (422, "bad_file_name")),
        ("-x", {"file": "a.csv"}, (422, "bad_name")),
        ("x" * 65, {"file": "a.csv"}, (422, "bad_name")),
        ("reviews", {"file": "a.csv", "recipe": {"tusk": 1}}, (422, "bad_recipe")),
        ("reviews", {"file": "a.csv", "recipe": {"target": "\ud800"}}, (422, "bad_request")),
        ("reviews", {"file": "a.csv", "recipe": "[" * 60_000}, (422, "bad_recipe")),
        ("reviews", {"file": "a.csv", "recipe": "a: b: c"}, (422, "bad_recipe")),
        ("reviews", {"file": "a.csv", "recipe": "x" * 70_000}, (422, "bad_recipe")),
        ("reviews", {"file": "a.csv", "recipe": {"target": "x" * 70_000}}, (422, "bad_recipe")),
        ("reviews", {"file": "\ud800.csv"}, (422, "bad_request")),
        ("reviews", {"size": 1}, (422, "bad_request")),
        ("reviews", {"file": "a.csv", "size": -1}, (422, "bad_request")),
        ("reviews", {"file": "a.csv", "colour": "red"}, (422, "bad_request")),
        ("reviews", ["a.csv"], (422, "bad_request")),
    ],
)
def test_a_bad_upload_is_refused_with_its_cause(
    control: Control, dataset: str, body: Any, expected: tuple[int, str]
) -> None:
    status, code, message = control.error("POST", f"/v1/datasets/{dataset}/uploads", body)
    assert (status, code) == expected
    assert message
    assert list(objects.keys(UPLOADS, "")) == []


def test_datasets_and_versions_are_listed_with_links(control: Control, tmp_path: Path) -> None:
    datasets.add_version("default", dataset_version())
    objects.put("data", "default/datasets/reviews/0123456789abcdef/profile.json", b"{}")
    assert control("GET", "/v1/datasets")[1]["datasets"][0]["name"] == "reviews"
    assert control("GET", "/v1/datasets/reviews")[1]["latest_version"]["rows"]["read"] == 100
    assert len(control("GET", "/v1/datasets/reviews/versions")[1]["versions"]) == 1
    status, version = control("GET", "/v1/datasets/reviews/versions/0123456789abcdef")
    assert status == 200
    assert requests.get(version["links"]["profile"], timeout=5).content == b"{}"
    page = tmp_path / "report.html"
    page.write_bytes(b"<!DOCTYPE html>")
    objects.upload("data", "default/datasets/reviews/0123456789abcdef/report.html", page)
    report = requests.get(version["links"]["report"], timeout=5)
    assert (report.content, report.headers["Content-Type"]) == (b"<!DOCTYPE html>", "text/html; charset=utf-8")


def test_a_dataset_is_deleted_but_not_under_a_run(control: Control) -> None:
    objects.put(UPLOADS, KEY, b"x")
    run = start(control, {"source": {"key": KEY}})
    assert control.error("DELETE", "/v1/datasets/reviews")[:2] == (409, "dataset_in_use")
    control("POST", f"/v1/pipelines/{run['id']}/cancel")
    gone = {"deleted": "reviews", "models": [], "models_deleted": False}
    assert control("DELETE", "/v1/datasets/reviews") == (200, gone)
    assert list(objects.keys(UPLOADS, "")) == []
    assert control.error("DELETE", "/v1/datasets/reviews")[:2] == (404, "not_found")
    assert [(each["action"], each["who"]) for each in audit.latest("default")] == [("delete-dataset", "laptop")]


# --- pipelines


def test_a_run_over_an_upload_gets_its_own_recipe(control: Control) -> None:
    objects.put(UPLOADS, KEY, b"12345")
    run = start(control, {"source": {"key": KEY}, "recipe": {"seed": 8}})
    assert (run["status"], run["dataset"], run["requested_by"]) == ("RUNNING", "reviews", "laptop")
    given = input_of(run["id"])
    assert given["upload"] == run["upload"]
    assert (given["upload"]["size"], given["recipe"], given["tenant"]) == (5, {"seed": 8}, "default")
    assert control("GET", f"/v1/pipelines?upload_key={KEY}")[1]["pipelines"][0]["id"] == run["id"]
    assert control("GET", "/v1/pipelines?dataset=other")[1]["pipelines"] == []
    assert control("GET", f"/v1/pipelines/{run['id']}")[1]["stages"] == []


def test_a_run_over_a_version_takes_the_very_bytes_that_it_was_made_from(control: Control) -> None:
    objects.put(UPLOADS, KEY, b"old")
    version_id = objects.head(UPLOADS, KEY)["VersionId"]
    objects.put(UPLOADS, KEY, b"newer")
    source = Source(bucket=UPLOADS, key=KEY, version_id=version_id)
    datasets.add_version("default", dataset_version().model_copy(update={"sources": [source]}))
    run = start(control, {"dataset": "reviews"})
    assert (run["upload"]["version_id"], run["upload"]["size"]) == (version_id, 3)
    assert "recipe" not in input_of(run["id"])


def test_the_same_idempotency_key_is_the_same_run(control: Control) -> None:
    objects.put(UPLOADS, KEY, b"x")
    first = start(control, {"source": {"key": KEY}}, Idempotency_Key="k")
    assert start(control, {"source": {"key": KEY}}, Idempotency_Key="k")["id"] == first["id"]
    assert start(control, {"source": {"key": KEY}})["id"] != first["id"]
    assert len(control("GET", "/v1/pipelines")[1]["pipelines"]) == 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (422, "bad_request")),
        ({"dataset": "reviews", "source": {"key": KEY}}, (422, "bad_request")),
        ({"version": "1", "source": {"key": KEY}}, (422, "bad_request")),
        ({"dataset": "ghost"}, (404, "not_found")),
        ({"source": {"key": KEY}}, (404, "not_found")),
        ({"source": {"key": "other/reviews/first/reviews.csv"}}, (404, "not_found")),
        ({"source": {"key": "default/reviews/first/" + "x" * 2000}}, (404, "not_found")),
        ({"source": {"key": "default/reviews/first/recipe.yaml"}}, (422, "bad_upload_key")),
        ({"source": {"key": "reviews.csv"}}, (422, "bad_upload_key")),
        ({"source": {"key": KEY}, "recipe": {"seed": "x"}}, (422, "bad_recipe")),
    ],
)
def test_a_bad_start_is_refused(control: Control, body: dict[str, Any], expected: tuple[int, str]) -> None:
    assert control.error("POST", "/v1/pipelines", body)[:2] == expected
    assert pipelines.latest("default", 10) == []


def test_a_run_is_cancelled_once_and_says_by_whom(control: Control) -> None:
    objects.put(UPLOADS, KEY, b"x")
    path = f"/v1/pipelines/{start(control, {'source': {'key': KEY}})['id']}"
    assert control.error("POST", f"{path}/approve")[:2] == (409, "not_waiting")
    for _ in range(2):
        status, run = control("POST", f"{path}/cancel")
        assert (status, run["status"], run["reason"]["message"]) == (200, "CANCELLED", "cancelled by laptop")


def test_a_run_that_has_ended_is_not_cancelled(control: Control) -> None:
    objects.put(UPLOADS, KEY, b"x")
    run = start(control, {"source": {"key": KEY}})
    pipelines.finish("default", run["id"], "SUCCEEDED", {"reason": None})
    assert control.error("POST", f"/v1/pipelines/{run['id']}/cancel")[:2] == (409, "run_ended")
    assert control("GET", f"/v1/pipelines/{run['id']}")[1]["status"] == "SUCCEEDED"


# --- models


def test_models_versions_and_traffic_are_shown(control: Control) -> None:
    put_versions()
    models.put_traffic("default", "m", {"last_hour": {"requests": 3}})
    assert [each["name"] for each in control("GET", "/v1/models")[1]["models"]] == ["m"]
    model = control("GET", "/v1/models/m")[1]
    assert (model["versions"], model["latest"], model["traffic"]["last_hour"]["requests"]) == (2, "2", 3)
    assert [each["version"] for each in control("GET", "/v1/models/m/versions")[1]["versions"]] == ["2", "1"]
    assert control("GET", "/v1/models/m/versions/1")[1]["digest"] == "d1"
    assert control.error("GET", "/v1/models/m/versions/7")[:2] == (404, "not_found")
    assert control.error("GET", "/v1/models/m/versions/7/report")[:2] == (404, "not_found")


def test_the_report_of_a_version_is_a_link_to_its_run(control: Control, tmp_path: Path) -> None:
    put_versions(1)
    page = tmp_path / "report.html"
    page.write_bytes(b"<!DOCTYPE html>")
    objects.upload("models", "default/runs/run-1/report.html", page)
    report = requests.get(control("GET", "/v1/models/m/versions/1")[1]["links"]["report"], timeout=5)
    assert (report.content, report.headers["Content-Type"]) == (b"<!DOCTYPE html>", "text/html; charset=utf-8")
    reply = control.send("GET", "/v1/models/m/versions/1/report")
    assert reply["statusCode"] == 307
    headers = {**reply.get("headers", {}), **{k: v[0] for k, v in reply.get("multiValueHeaders", {}).items()}}
    assert requests.get(headers["location"], timeout=5).content == b"<!DOCTYPE html>"


def test_the_route_moves_and_keeps_its_history(control: Control) -> None:
    put_versions()
    assert control("GET", "/v1/models/m/route")[1] == {
        "model": "m",
        "revision": 0,
        "weights": {},
        "shadow": None,
        "history": [],
    }
    status, route = control("PUT", "/v1/models/m/route", {"weights": {"1": 0.9, "2": 0.1}})
    assert (status, route["revision"]) == (200, 1)
    assert control("PUT", "/v1/models/m/route", {"weights": {"1": 1}, "shadow": "2"}, If_Match='"1"')[0] == 200
    shown = control("GET", "/v1/models/m/route")[1]
    assert (shown["weights"], shown["shadow"]) == ({"1": 1.0}, "2")
    assert [(move["revision"], move["who"]) for move in shown["history"]] == [(2, "key laptop"), (1, "key laptop")]


def test_of_two_who_read_the_same_route_the_second_is_told(control: Control) -> None:
    put_versions()
    assert control("PUT", "/v1/models/m/route", {"weights": {"1": 1}, "revision": 0})[0] == 200
    body = {"weights": {"2": 1}, "revision": 0}
    assert control.error("PUT", "/v1/models/m/route", body)[:2] == (409, "route_moved")
    assert control.error("PUT", "/v1/models/m/route", {"weights": {"2": 1}}, If_Match='"0"')[:2] == (409, "route_moved")
    assert control("GET", "/v1/models/m/route")[1]["weights"] == {"1": 1.0}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"weights": {"1": 0.5}}, 400),
        ({"weights": {"1": 1, "9": 0}}, 400),
        ({"weights": {"1": 1}, "shadow": "9"}, 400),
        ({"weights": {"01": 1}}, 400),
        ({"weights": {"1": float("nan")}}, 400),
        ({"weights": {"1": 2, "2": -1}}, 400),
        ({"weights": {}}, 422),
        ({"weights": {"1": "all"}}, 422),
        ({"weights": {"1": 1}, "revision": -1}, 422),
    ],
)
def test_a_bad_route_is_refused(control: Control, body: dict[str, Any], status: int) -> None:
    put_versions()
    assert control.error("PUT", "/v1/models/m/route", body)[0] == status
    assert control("GET", "/v1/models/m/route")[1]["revision"] == 0


def test_a_version_that_is_not_ready_gets_no_traffic(control: Control) -> None:
    models.register("default", "m", "d1", {"status": "ARCHIVED", "run_id": "r"})
    assert control.error("PUT", "/v1/models/m/route", {"weights": {"1": 1}})[:2] == (400, "bad_route")


def test_a_version_is_deleted_unless_the_route_leads_to_it(control: Control) -> None:
    put_versions(3)
    control("PUT", "/v1/models/m/route", {"weights": {"1": 1}, "shadow": "2"})
    for version in ("1", "2"):
        assert control.error("DELETE", f"/v1/models/m/versions/{version}")[:2] == (409, "version_routed")
    assert control("DELETE", "/v1/models/m/versions/3") == (200, {"deleted": "3"})
    assert control.error("DELETE", "/v1/models/m/versions/3")[:2] == (404, "not_found")
    assert control("GET", "/v1/models/m")[1]["versions"] == 2


def test_a_routed_model_is_deleted_only_by_force(control: Control) -> None:
    put_versions()
    control("PUT", "/v1/models/m/route", {"weights": {"1": 1}})
    assert control.error("DELETE", "/v1/models/m")[:2] == (409, "model_routed")
    assert control("DELETE", "/v1/models/m?force=true") == (200, {"deleted": "m"})
    assert control.error("GET", "/v1/models/m")[:2] == (404, "not_found")
