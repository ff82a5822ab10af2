"""The main job: a file that nobody has seen, put into S3 by a plain client, ends in an endpoint that answers."""

from typing import Any

import httpx
import pytest

from tests.e2e.samples import machines, reviews
from tests.e2e.steps import Steps

Run = dict[str, Any]


@pytest.fixture(scope="module")
def text(steps: Steps) -> Run:
    return steps.run("moods", reviews(), "reviews.csv")


@pytest.fixture(scope="module")
def table(steps: Steps) -> Run:
    return steps.run("machines", machines(), "machines.csv")


def test_a_text_file_becomes_an_endpoint(steps: Steps, text: Run) -> None:
    assert text["status"] == "SUCCEEDED", text["reason"]
    assert (text["task"], text["target"]) == ("text-classification", "mood")
    assert text["rows"]["read"] == text["rows"]["used"] + text["rows"]["quarantined"] == 240
    answer = steps.predict("moods", {"review": "the shirt was lovely and perfect"}, {"text": "房间 很差 失望"})
    assert [row["label"] for row in answer["predictions"]] == ["good", "bad"]
    assert answer["version"] == text["model"]["version"]
    for row in answer["predictions"]:
        assert row["score"] == max(row["scores"].values())
        assert sum(row["scores"].values()) == pytest.approx(1, abs=1e-3)


def test_a_table_becomes_an_endpoint(steps: Steps, table: Run) -> None:
    assert table["status"] == "SUCCEEDED", table["reason"]
    assert (table["task"], table["target"]) == ("tabular-classification", "state")
    hot = {"temperature": 95, "site": "north", "load": 0.1}
    fine = {"temperature": 45, "site": "south", "load": 0.2}
    unknown = {"temperature": None, "site": "mars"}
    answer = steps.predict("machines", hot, fine, unknown)
    assert [row["label"] for row in answer["predictions"]][:2] == ["failed", "fine"]
    assert len(answer["predictions"]) == 3


def test_a_version_has_a_report_that_a_browser_shows(steps: Steps, table: Run) -> None:
    version = steps.get(f"/v1/datasets/machines/versions/{table['dataset_version']}").json()
    page = httpx.get(version["links"]["report"], timeout=30)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert f"{table['rows']['read']:,}" in page.text
    assert "<script" not in page.text


def test_every_stage_reported_that_it_succeeded(text: Run, table: Run) -> None:
    for run, candidates in ((text, {"ngram-linear"}), (table, {"linear", "boosting", "tabm"})):
        stages = {stage["stage"]: stage["status"] for stage in run["stages"]}
        assert list(stages) == [
            "preprocess",
            "train",
            "select",
            "evaluate",
            "convert",
            "optimise",
            "register",
            "deploy",
        ]
        assert set(stages.values()) <= {"SUCCEEDED", "SKIPPED"}
        assert {stage["candidate"] for stage in run["stages"] if stage["stage"] == "train"} == candidates


def test_metrics_have_intervals_and_beat_the_majority(text: Run, table: Run) -> None:
    for run in (text, table):
        accuracy = run["model"]["metrics"]["accuracy"]
        assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
        assert accuracy["value"] > run["model"]["metrics"]["majority_baseline"]


def test_the_same_content_gives_the_same_model(steps: Steps, text: Run) -> None:
    again = steps.run("moods", reviews(), "reviews.csv")
    assert again["id"] != text["id"]
    assert again["dataset_version"] == text["dataset_version"]
    assert again["model"]["version"] == text["model"]["version"]
    versions = steps.get("/v1/models/moods/versions").json()["versions"]
    assert [version["version"] for version in versions] == [text["model"]["version"]]


def test_the_batch_engine_runs_the_same_job(steps: Steps, table: Run) -> None:
    recipe = b"compute: {engine: batch}\nmodel: machines-on-batch\ncandidates: [linear]\n"
    run = steps.run("machines", machines(), "machines.csv", recipe=recipe)
    assert run["status"] == "SUCCEEDED", run["reason"]
    assert run["model"]["name"] == "machines-on-batch"
    assert run["dataset_version"] == table["dataset_version"]


def test_one_event_many_times_is_one_run(steps: Steps, text: Run) -> None:
    before = len(steps.get("/v1/pipelines?limit=200").json()["pipelines"])
    steps.deliver_again(text, times=3)
    assert len(steps.get("/v1/pipelines?limit=200").json()["pipelines"]) == before


@pytest.mark.usefixtures("text")
def test_tensors_and_instances_get_the_same_answer(steps: Steps) -> None:
    texts = ["a table with awful noisy staff", "this window was bright"]
    plain = steps.predict("moods", *({"review": value} for value in texts))["predictions"]
    tensor = {"name": "review", "datatype": "BYTES", "shape": [2], "data": texts}
    reply = steps.post("/v2/models/moods/infer", {"id": "seven", "inputs": [tensor]}).json()
    outputs = {output["name"]: output for output in reply["outputs"]}
    assert reply["id"] == "seven"
    assert outputs["label"]["data"] == [row["label"] for row in plain]
    assert max(outputs["probabilities"]["data"][:2]) == pytest.approx(plain[0]["score"], abs=1e-5)


@pytest.mark.usefixtures("text")
def test_every_prediction_is_counted(steps: Steps) -> None:
    before = steps.observed("moods")
    steps.predict("moods", {"review": "a lovely shop"}, {"review": "a rude shop"})
    steps.post("/v1/models/moods/predict", {"instances": []})
    after = steps.observed("moods")
    assert after["predictions"] - before["predictions"] == 2
    assert after["client_errors"] - before["client_errors"] == 1
    assert after["latency_ms"]["p95"] > 0


def test_the_caller_of_a_version_gets_that_version(steps: Steps, text: Run) -> None:
    version = text["model"]["version"]
    path = f"/v1/models/moods/versions/{version}/predict"
    assert steps.post(path, {"instances": [{"text": "superb"}]}).json()["version"] == version
    assert steps.post("/v1/models/moods/versions/99/predict", {"instances": [{"text": "x"}]}).status_code == 404


def test_health_needs_no_key(steps: Steps) -> None:
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert httpx.get(steps.url + path, timeout=30).status_code == 200
