"""The API's refusals: right status, one shape, cause and hint; nothing of another tenant."""

import httpx
import pytest

from tests.e2e.steps import Steps

ROUTES = [
    ("GET", "/v1/datasets"),
    ("GET", "/v1/pipelines"),
    ("GET", "/v1/models"),
    ("GET", "/v2"),
    ("GET", "/v2/models/none"),
    ("POST", "/v1/models/none/predict"),
    ("POST", "/v2/models/none/infer"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer mm_wrong"}, {"Authorization": "Basic abc"}])
def test_no_key_no_answer(steps: Steps, method: str, path: str, headers: dict[str, str]) -> None:
    reply = httpx.request(method, steps.url + path, headers=headers, json={} if method == "POST" else None, timeout=30)
    assert reply.status_code in (401, 403)
    error = reply.json()["error"]
    assert error["code"] == "unauthorized"
    assert error["hint"]
    assert error["request_id"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/nothing", 404),
        ("GET", "/v1/models/none", 404),
        ("GET", "/v1/pipelines/none", 404),
        ("GET", "/v1/datasets/none/versions/0", 404),
        ("POST", "/v1/pipelines/none/cancel", 404),
        ("GET", "/v1/models/none/route", 404),
        ("DELETE", "/v1/pipelines", 405),
        ("GET", "/v1/pipelines?limit=minus", 422),
        ("POST", "/v1/models/none/explain", 404),
    ],
)
def test_refusals_have_one_shape(steps: Steps, method: str, path: str, status: int) -> None:
    reply = steps.request(method, path)
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert error["code"]
    assert error["message"]
    assert error["request_id"]
    assert "Traceback" not in reply.text


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        '{"instances": 3}',
        '{"instances": []}',
        '{"instances": [3]}',
        '{"instances": [{}]}',
        "\xff",
    ],
)
def test_a_bad_body_is_refused_with_its_cause(steps: Steps, body: str) -> None:
    reply = steps.request("POST", "/v1/models/none/predict", content=body.encode("latin-1"))
    assert 400 <= reply.status_code < 500
    assert reply.json()["error"]["message"]


def test_a_presigned_upload_starts_a_run(steps: Steps) -> None:
    ticket = steps.post("/v1/datasets/by-link/uploads", {"file": "nothing.csv"}).json()
    put = httpx.put(ticket["url"], content=b"", timeout=30)
    assert put.status_code == 200
    assert steps.wait(ticket["key"])["reason"]["code"] == "empty_file"


def test_a_bad_upload_request_names_the_field(steps: Steps) -> None:
    assert steps.post("/v1/datasets/..%2Fx/uploads", {"file": "a.csv"}).status_code in (400, 404, 422)
    too_large = steps.post("/v1/datasets/d/uploads", {"file": "a.csv", "size": 10**13})
    assert too_large.status_code == 413
    assert too_large.json()["error"]["limit"]
    assert "recipe" in steps.post("/v1/datasets/d/uploads", {"file": "a.csv", "recipe": {"taget": 1}}).text


def test_another_tenant_sees_nothing(steps: Steps) -> None:
    stranger = steps.as_tenant("stranger")
    assert stranger.get("/v1/models").json()["models"] == []
    assert stranger.get("/v1/pipelines").json()["pipelines"] == []
    known = steps.get("/v1/pipelines?limit=1").json()["pipelines"]
    for run in known:
        assert stranger.get(f"/v1/pipelines/{run['id']}").status_code == 404
