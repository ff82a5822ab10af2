"""Ingest: one run per upload, however often its event comes; only what is no event is delivered again."""

import json
import random
from typing import Any

import pytest

from modelmill.aws.clients import client
from modelmill.aws.records import pipelines
from modelmill.core.data.upload import StoredObject
from tests.functions.data.conftest import UPLOADS, event, handler_of

ingest = handler_of("ingest")
pytestmark = pytest.mark.usefixtures("aws")


def executions() -> dict[str, Any]:
    machine = "arn:aws:states:eu-central-1:123456789012:stateMachine:pipeline"
    found = {}
    for execution in client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]:
        described = client("stepfunctions").describe_execution(executionArn=execution["executionArn"])
        found[execution["name"]] = json.loads(described["input"])
    return found


def test_an_upload_starts_a_run() -> None:
    assert ingest(event("ingest"), None) == {"batchItemFailures": []}
    ((name, payload),) = executions().items()
    assert name.startswith("20261124T101530-")
    assert len(name) == len("20261124T101530-") + 10
    assert payload == {
        "run_id": name,
        "tenant": "default",
        "dataset": "reviews",
        "upload": {"bucket": UPLOADS, "key": "default/reviews/first/reviews.csv", "version_id": None, "size": 204800},
    }
    run = pipelines.get("default", name)
    assert run is not None
    assert (run["status"], run["dataset"]) == ("RUNNING", "reviews")


@pytest.mark.parametrize("seed", range(5))
def test_the_same_events_in_any_order_start_the_same_runs(seed: int) -> None:
    records = event("ingest_duplicates")["Records"] * 2
    random.Random(seed).shuffle(records)
    for part in (records[:3], records[3:5], records):
        assert ingest({"Records": part}, None) == {"batchItemFailures": []}
    started = executions()
    assert sorted(payload["upload"]["key"] for payload in started.values()) == [
        "acme/客户评论/上传-1/reviews + notes.csv",
        "default/reviews/first/reviews.csv",
    ]
    assert {payload["tenant"] for payload in started.values()} == {"acme", "default"}


def test_only_what_is_no_event_is_delivered_again() -> None:
    batch = event("ingest_mixed")
    poison = [record["messageId"] for record in batch["Records"] if record["body"] == "this is not an event"]
    assert ingest(batch, None) == {"batchItemFailures": [{"itemIdentifier": message} for message in poison]}
    assert [payload["upload"]["key"] for payload in executions().values()] == ["default/reviews/first/reviews.csv"]


def test_a_batch_of_poison_is_no_error_of_the_function() -> None:
    poison = [record for record in event("ingest_mixed")["Records"] if not record["body"].startswith("{")]
    assert len(ingest({"Records": poison}, None)["batchItemFailures"]) == len(poison) == 1


def test_a_key_of_another_shape_is_a_failed_run() -> None:
    ingest(event("ingest_mixed"), None)
    (failed,) = [run for run in pipelines.latest("default", 10) if run["status"] == "FAILED"]
    assert failed["reason"]["code"] == "bad_upload_key"
    assert "reviews.csv" in failed["reason"]["message"]
    assert failed["upload"]["key"] == "reviews.csv"


def test_a_run_that_was_recorded_but_not_started_is_started() -> None:
    record = json.loads(event("ingest")["Records"][0]["body"])
    stored = StoredObject.of(record)
    assert stored is not None
    pipelines.start("default", stored.run_id, {"dataset": "reviews"})
    ingest(event("ingest"), None)
    assert list(executions()) == [stored.run_id]


def test_logs_name_no_keys(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("ingest", "ingest_duplicates", "ingest_mixed"):
        ingest(event(name), None)
    captured = capsys.readouterr()
    logged = captured.out + captured.err
    assert "reviews.csv" not in logged
    assert "客户" not in logged


def arrives(key: str) -> None:
    record = event("ingest")["Records"][0]
    body = json.loads(record["body"])
    body["detail"]["object"]["key"] = key
    assert ingest({"Records": [record | {"body": json.dumps(body)}]}, None) == {"batchItemFailures": []}


def test_several_files_start_one_run_when_their_list_arrives() -> None:
    for name in ("files/train/a.csv", "files/b.csv", "plan/files.json", "recipe.yaml", "deep/er.csv"):
        arrives(f"default/reviews/u1/{name}")
    assert executions() == {}
    assert pipelines.latest("default", 10) == []
    arrives("default/reviews/u1/upload.json")
    ((_, payload),) = executions().items()
    assert payload["upload"]["key"] == "default/reviews/u1/upload.json"
