"""The client over real HTTP: uploads, waiting, refusals, retries, where it gets its URL and token from."""

import json
import socket
from pathlib import Path

import pytest

from modelmill.client import Modelmill, ModelmillError, Run
from tests.unit.client.fake_api import TOKEN, FakeApi


def test_an_upload_is_streamed_and_its_run_followed_to_the_end(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "big.csv"
    file.write_bytes(b"x" * (3 << 20))
    sent: list[int] = []
    states: list[Run] = []
    with Modelmill() as mill:
        upload = mill.upload("名前", file, recipe="seed: 1", progress=lambda done, _: sent.append(done))
        run = mill.wait(upload.key, seen=states.append)
    assert api.uploads[upload.key] == file.read_bytes()
    assert api.recipes[upload.key] == "seed: 1"
    assert sent == [1 << 20, 2 << 20, 3 << 20]
    assert run.over
    assert run.model is not None
    assert (run.model["name"], run.rows) == ("m", {"read": 3, "used": 2, "quarantined": 1})
    assert states[0].stages[0].stage == "preprocess"


def test_predict_and_route(api: FakeApi) -> None:
    with Modelmill() as mill:
        assert mill.predict("m", [{"text": "a"}, {"text": "b"}])["predictions"][1]["row"] == {"text": "b"}
        assert mill.predict("m", [{}], version="1/2")["version"] == "1"
        assert mill.set_route("m", {"1": 0.9, "2": 0.1}, shadow="3")["shadow"] == "3"
        assert mill.route("m")["weights"] == {"1": 0.9, "2": 0.1}
        assert [version["version"] for version in mill.versions("m")] == ["1"]
    assert ("POST", "/v1/models/m/versions/1%2F2/predict") in api.seen


def test_a_refusal_keeps_its_code_hint_and_status(api: FakeApi) -> None:
    with Modelmill(None, "mm_wrong") as mill, pytest.raises(ModelmillError) as caught:
        mill.models()
    assert (caught.value.code, caught.value.hint, caught.value.status) == ("unauthorised", "make one", 401)
    api.faults = [(413, {"message": "Request Too Long"})]
    with Modelmill() as mill, pytest.raises(ModelmillError, match="Request Too Long") as caught:
        mill.models()
    assert caught.value.status == 413


@pytest.mark.parametrize("status", [429, 502, 503])
def test_what_may_be_repeated_is_repeated(api: FakeApi, status: int) -> None:
    api.faults = [(status, None), (status, None)]
    with Modelmill() as mill:
        assert mill.models()[0]["name"] == "m"
    api.faults = [(status, None)] * 9
    with Modelmill() as mill, pytest.raises(ModelmillError) as caught:
        mill.models()
    assert caught.value.status == status
    assert len(api.faults) == 5


def test_a_refusal_is_not_repeated(api: FakeApi) -> None:
    api.faults = [(400, {"error": {"code": "bad", "message": "no"}}), (500, b"<html>")]
    with Modelmill() as mill:
        for _ in range(2):
            with pytest.raises(ModelmillError):
                mill.models()
        assert mill.models()


def test_what_is_not_json_is_an_error_of_the_server(api: FakeApi) -> None:
    api.faults = [(200, b"<html>")]
    with Modelmill() as mill, pytest.raises(ModelmillError, match="JSON") as caught:
        mill.models()
    assert caught.value.status == 502


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with Modelmill(url, "t") as mill, pytest.raises(ModelmillError) as caught:
        mill.models()
    assert (caught.value.code, caught.value.hint) == ("unreachable", "start it with: modelmill up")
    monkeypatch.setenv("MODELMILL_HOME", str(tmp_path))
    monkeypatch.delenv("MODELMILL_URL", raising=False)
    with pytest.raises(ModelmillError, match="no local cloud"):
        Modelmill()


def test_a_missing_file_is_said_before_anything_is_sent(api: FakeApi, tmp_path: Path) -> None:
    with Modelmill() as mill, pytest.raises(ModelmillError, match="cannot be read"):
        mill.upload("d", tmp_path / "none.csv")
    assert api.seen == []


def test_an_upload_that_starts_nothing_times_out(api: FakeApi) -> None:
    with Modelmill() as mill, pytest.raises(ModelmillError, match="was not started") as caught:
        mill.wait("default/d/u/f", timeout=0)
    assert caught.value.code == "timeout"
    assert api.uploads == {}


def test_the_local_clouds_token_goes_to_the_local_cloud_alone(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "cloud.json").write_text(json.dumps({"url": api.base, "token": TOKEN}), encoding="utf-8")
    monkeypatch.delenv("MODELMILL_TOKEN")
    monkeypatch.delenv("MODELMILL_URL")
    with Modelmill() as mill:
        assert mill.models()
    with pytest.raises(ModelmillError, match="MODELMILL_TOKEN"):
        Modelmill("https://example.com")
