"""The command line as a process: its exit codes, what is on stdout, what needs nothing but the client."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.client.fake_api import TOKEN, FakeApi

COMMAND = [sys.executable, "-c", "from modelmill.client.cli import main; main()"]


def modelmill(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)


def ok(*arguments: str) -> Any:
    result = modelmill(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("text,y\na,1\n", encoding="utf-8")
    return path


def test_push_and_wait_ends_with_one_object(api: FakeApi, file: Path) -> None:
    body = ok("push", str(file), "--name", "d", "--wait")
    assert set(body) == {
        *("dataset", "version", "pipeline", "status", "reason", "rows", "warnings", "task", "target", "model")
    }
    assert (body["dataset"], body["status"], body["model"]["name"]) == ("d", "SUCCEEDED", "m")
    assert list(api.uploads.values()) == [file.read_bytes()]


def test_a_failed_run_is_exit_code_1_with_its_reason(api: FakeApi, file: Path) -> None:
    api.outcome = "FAILED"
    result = modelmill("push", str(file), "--name", "d", "--wait", "--json")
    assert result.returncode == 1
    body = json.loads(result.stdout)
    assert (body["status"], body["reason"]["code"], body["model"]) == ("FAILED", "one_class", None)
    shown = modelmill("push", str(file), "--name", "d", "--wait")
    assert (shown.returncode, shown.stdout) == (1, "warning: look\nFAILED: only one class\nhint: send more\n")


def test_the_target_can_be_said_with_and_without_a_recipe(api: FakeApi, file: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("{seed: 3, target: other}")
    ok("push", str(file), "--name", "d", "--target", "推荐")
    ok("push", str(file), "--name", "e", "--target", "y", "--recipe", str(recipe))
    sent = [yaml.safe_load(text) for text in api.recipes.values()]
    assert sent == [{"target": "推荐"}, {"seed": 3, "target": "y"}]


def test_several_files_and_folders_are_one_upload(api: FakeApi, file: Path, tmp_path: Path) -> None:
    for name in ("train/a.csv", "test/b.csv", "test/.hidden"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text(name)
    body = ok("push", str(file), str(tmp_path / "data" / "train"), "--name", "d", "--wait")
    assert (body["dataset"], body["status"]) == ("d", "SUCCEEDED")
    assert api.planned == ["rows.csv", "train/a.csv"]
    assert api.uploads["default/d/u/files/train/a.csv"] == b"train/a.csv"
    assert ok("push", str(tmp_path / "data"), "--name", "d")["key"] == "default/d/u/upload.json"
    assert api.planned == ["test/b.csv", "train/a.csv"]
    (tmp_path / "empty").mkdir()
    refused = json.loads(modelmill("push", str(tmp_path / "empty"), "--name", "d", "--json").stdout)
    assert refused["error"]["code"] == "empty_folder"


def test_data_sets_are_listed_shown_and_compared(api: FakeApi) -> None:
    assert ok("datasets")["datasets"][0]["latest"] == "v1"
    assert ok("datasets", "show", "d")["versions"][0]["rows"]["read"] == 1_003
    assert ok("datasets", "show", "d", "v1")["models"] == [{"model": "m", "version": "1"}]
    assert ok("datasets", "diff", "d", "v1", "v2")["labels"]["removed"] == ["b"]
    assert modelmill("datasets").stdout.splitlines()[1].split() == ["d", "v1", "2026-11-24", "16:03"]
    assert "1,002" in modelmill("datasets", "show", "d").stdout
    shown = modelmill("datasets", "show", "d", "v1").stdout
    for line in ("[id]    number", "model: m version 1", "from: s3://b/default/d/u/rows.csv", "run: r1 SUCCEEDED"):
        assert line in shown
    changes = modelmill("datasets", "diff", "d", "v1", "v2").stdout
    for line in ("class removed: b", "column removed: [id]", "warning that went: look", "target"):
        assert line in changes
    missing = modelmill("datasets", "show", "nope", "--json")
    assert (missing.returncode, json.loads(missing.stdout)["error"]["code"]) == (1, "not_found")
    assert api.seen


def test_deleting_data_says_which_models_were_trained_from_it(api: FakeApi) -> None:
    assert "model m version 1: kept" in modelmill("delete", "dataset", "d", "--version", "v1", "--yes").stdout
    assert "model m version 1: deleted too" in modelmill("delete", "dataset", "d", "--yes", "--models").stdout
    assert modelmill("delete", "model", "m", "--yes", "--models").returncode == 2
    assert api.seen[-1] == ("DELETE", "/v1/datasets/d?models=true")


def test_registry_commands(api: FakeApi, file: Path) -> None:
    assert ok("models")["models"][0]["name"] == "m"
    assert ok("models", "m")["versions"][0]["version"] == "1"
    assert ok("route", "m", "--set", "1=0.9,2=0.1", "--shadow", "3")["weights"] == {"1": 0.9, "2": 0.1}
    assert api.route["shadow"] == "3"
    assert "version 1: 90%, version 2: 10%, shadow: version 3" in modelmill("route", "m").stdout
    assert ok("push", str(file), "--name", "d")["key"] == "default/d/u0/rows.csv"
    assert ok("runs")["pipelines"][0]["dataset"] == "d"
    assert ok("show", "default|d|u0|rows.csv")["rows"]["read"] == 3
    shown = modelmill("show", "default|d|u0|rows.csv").stdout
    assert "look" in shown
    assert "modelmill report d v1" in shown


def test_a_report_is_saved(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ok("report", "d") == {"dataset": "d", "version": "v1", "path": "d-v1.html"}
    assert Path("d-v1.html").read_bytes() == b"<!DOCTYPE html>"
    result = modelmill("report", "d", "v1", "--output", "page.html")
    assert (result.returncode, result.stdout, Path("page.html").stat().st_size) == (0, "page.html\n", 15)
    assert json.loads(modelmill("report", "d", "v2", "--json").stdout)["error"]["code"] == "not_found"
    refused = modelmill("report", "d", "--output", "none/page.html", "--json")
    assert (refused.returncode, json.loads(refused.stdout)["error"]["code"]) == (1, "no_file")
    api.stored = (404, b"<Error><Code>NoSuchKey</Code></Error>")
    gone = modelmill("report", "d", "--output", "gone.html")
    assert (gone.returncode, Path("gone.html").exists()) == (1, False)
    assert "modelmill report" not in modelmill("show", "nope").stdout


@pytest.mark.usefixtures("api")
def test_the_report_of_a_model_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = {"model": "m", "version": "1", "path": "m-model-1.html"}
    assert ok("report", "m", "--model") == expected
    assert ok("report", "m", "1", "-m") == expected
    assert Path("m-model-1.html").read_bytes() == b"<!DOCTYPE html>"
    assert json.loads(modelmill("report", "none", "-m", "--json").stdout)["error"]["code"] == "not_found"


def test_tables_fit_a_terminal_of_80_columns(api: FakeApi, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ok("push", str(file), "--name", "d", "--wait")
    assert len(modelmill("runs").stdout.splitlines()) == 1 + len(api.uploads)
    version = modelmill("models", "m").stdout.splitlines()[-1]
    assert "0.9000 [0.8000, 0.9500]" in version
    assert version.split()[-2:] == ["2026-11-24", "16:03"]
    shown = modelmill("show", "default|d|u0|rows.csv").stdout
    assert "3 read, 2 used, 1 quarantined" in shown
    assert "%" not in shown  # what is done is not also said in per cent


def test_predict_says_which_version_answered(api: FakeApi) -> None:
    result = modelmill("predict", "m", "--text", "hi")
    assert result.stderr == "answered by m version 1\n"
    assert api.seen


def test_as_many_runs_as_the_api_gives_and_no_more(api: FakeApi) -> None:
    assert ok("runs", "--limit", "200") == {"pipelines": []}
    assert modelmill("runs", "--limit", "201").returncode == 2
    assert api.seen == [("GET", "/v1/pipelines?limit=200")]


def test_three_ways_to_give_rows(api: FakeApi, tmp_path: Path) -> None:
    assert ok("predict", "m", "--text", "hi")["predictions"][0]["row"] == {"text": "hi"}
    # The contract's `--json ROW` gives a row and asks for JSON in one.
    both = modelmill("predict", "m", "--json", '[{"a": 1}, {"a": null}]')
    assert [one["row"] for one in json.loads(both.stdout)["predictions"]] == [{"a": 1}, {"a": None}]
    for name, text in {"a.csv": "a\n1\n", "a.jsonl": '{"a": "1"}\n', "a.json": '{"a": "1"}'}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert ok("predict", "m", "--file", str(tmp_path / name))["predictions"][0]["row"] == {"a": "1"}
    assert "0.9000" in modelmill("predict", "m", "--text", "hi").stdout
    assert api.seen


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["show", "nope"], 1, "not_found"),
        (["models", "nope"], 1, "not_found"),
        (["push", "none.csv", "--name", "d"], 1, "no_file"),
        (["predict", "m", "--row", "{"], 1, "bad_json"),
        (["predict", "m", "--row", "[1]"], 1, "bad_json"),
        (["logs", "nope"], 1, "no_logs"),
        (["predict", "m"], 2, "usage"),
        (["route", "m", "--set", "half"], 2, "usage"),
        (["route", "m", "--shadow", "2"], 2, "usage"),
        (["push", "none.csv"], 2, "usage"),
        (["fly"], 2, "usage"),
    ],
)
@pytest.mark.usefixtures("api")
def test_what_is_wrong_is_said_with_the_right_code(arguments: list[str], code: int, error: str) -> None:
    result = modelmill(*arguments, "--json")
    assert result.returncode == code
    assert json.loads(result.stdout)["error"]["code"] == error
    plain = modelmill(*arguments)
    assert (plain.returncode, plain.stdout) == (code, "")
    assert plain.stderr
    assert "Traceback" not in plain.stderr


@pytest.mark.parametrize("token", ["mm_\nx", "密钥", "two words"])
def test_a_token_that_is_no_key_is_refused_and_not_shown(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("MODELMILL_TOKEN", token)
    result = modelmill("runs", "--json")
    assert (result.returncode, json.loads(result.stdout)["error"]["code"]) == (1, "bad_token")
    assert token not in result.stdout + result.stderr
    assert api.seen == []


def test_a_newline_after_the_token_does_no_harm(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELMILL_TOKEN", f"{TOKEN}\n")
    assert ok("runs") == {"pipelines": []}
    assert api.seen


def test_a_name_that_is_none_is_refused_with_the_rule(api: FakeApi, file: Path) -> None:
    error = json.loads(modelmill("push", str(file), "--name", "a/b", "--json").stdout)["error"]
    assert (error["code"], error["limit"]) == ("bad_name", 64)
    assert api.seen == []


def test_status_when_down(api: FakeApi) -> None:
    assert ok("status") == {"running": False}
    assert ok("down") == {"running": False, "stopped": False}
    assert api.seen == []


def test_the_client_needs_nothing_of_the_local_cloud() -> None:
    blocked = (
        "import sys\nfor name in 'boto3 botocore ministack numpy torch fastapi'.split(): sys.modules[name] = None\n"
        "from modelmill.client.cli import main\nimport modelmill.client.api\nmain()"
    )
    result = subprocess.run(
        [sys.executable, "-c", blocked, "up", "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 1
    error = json.loads(result.stdout)["error"]
    assert (error["code"], error["hint"]) == ("no_local_cloud", "pip install 'modelmill[local]'")


def test_help_is_quick_and_loads_no_http_client() -> None:
    durations = []
    for _ in range(3):
        started = time.monotonic()
        assert "push" in modelmill("--help").stdout
        durations.append(time.monotonic() - started)
    assert min(durations) < 0.4
    listed = (
        "import sys; from modelmill.client.cli import main; print('httpx' in sys.modules, 'pydantic' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", listed], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert result.stdout.strip() == "False False"
