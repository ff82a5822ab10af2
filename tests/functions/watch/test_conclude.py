"""Conclude in process: every way in which a run can end closes its record with a reason that people can read."""

import json
from typing import Any

import pytest

from modelmill.aws import objects
from modelmill.aws.records import pipelines
from modelmill.core.limits import QUARANTINE_BYTES
from tests.contract.world import DATA, MODELS, UPLOADS, event, load_function

ENDED = event("watch/conclude")
RUN = ENDED["run_id"]
PREFIX = f"default/runs/{RUN}/"
KEPT = "default/quarantine/reviews/first/reviews.csv"
TRACE = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: no such column'
OUT_OF_MEMORY = {"code": "no_memory", "message": "out of memory"}


@pytest.fixture(autouse=True)
def upload() -> dict[str, Any]:
    """A started run over an uploaded file."""
    key = ENDED["upload"]["key"]
    objects.put(UPLOADS, key, b"refused bytes")
    found = {"bucket": UPLOADS, "key": key, "version_id": objects.head(UPLOADS, key)["VersionId"], "size": 13}
    pipelines.start("default", RUN, {"dataset": "reviews", "upload": found})
    return found


def run(state: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = load_function("watch/conclude").handler(state, None)
    return answer


def record() -> dict[str, Any]:
    found = pipelines.get("default", RUN)
    assert found is not None
    return found


def until(stage: str, **more: Any) -> dict[str, Any]:
    """The state of a run that came to (and not through) `stage`."""
    names = list(ENDED)
    return {name: ENDED[name] for name in names[: names.index(stage)]} | more


def fault(error: str, cause: object = "") -> dict[str, str]:
    return {"Error": error, "Cause": cause if isinstance(cause, str) else json.dumps(cause)}


def failure_of(candidate: str, reason: dict[str, str]) -> None:
    objects.put(MODELS, f"{PREFIX}candidates/{candidate}/failure.json", json.dumps(reason).encode())


def test_a_run_that_went_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ENDED) == {"status": "SUCCEEDED", "fault": False, "reason": None}
    closed = record()
    expected = {
        "status": "SUCCEEDED",
        "reason": None,
        "rows": ENDED["preprocess"]["rows"],
        "warnings": [],
        "task": "text-classification",
        "target": "recommended",
        "dataset_version": "3f1c5a7e9b2d4f60",
        "model": {"name": "reviews", "version": "1", "metrics": {}},
    }
    assert {name: closed[name] for name in expected} == expected
    assert run(ENDED) == {"status": "SUCCEEDED", "fault": False, "reason": None}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert [(line["tenant"], line["PipelineSucceeded"]) for line in lines] == [("default", 1)]


@pytest.mark.parametrize("stage", ["preprocess", "select"])
def test_a_refusal_keeps_the_file_with_the_reason(
    stage: str, upload: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    objects.put(UPLOADS, upload["key"], b"the next upload")
    reason = {"code": "one_class", "message": "the target 推荐 has one value", "limit": 2, "hint": "add rows"}
    rows = {"read": 9, "used": 0, "quarantined": 9}
    rejected = {"status": "rejected", "reason": reason, **({"rows": rows} if stage == "preprocess" else {})}
    state = until(stage) | {"upload": upload, stage: rejected}
    for _ in range(2):
        assert run(state) == {"status": "FAILED", "fault": stage == "select", "reason": reason}
    assert (record()["status"], record()["reason"], record()["model"]) == ("FAILED", reason, None)
    assert record()["rows"]["read"] == (9 if stage == "preprocess" else 8000)
    assert objects.get(DATA, KEPT) == b"refused bytes"
    assert json.loads(objects.get(DATA, f"{KEPT}.reason.json")) == reason
    assert capsys.readouterr().out.count('"PipelineFailed": 1') == 1


def test_a_very_large_refused_file_stays_where_it_is_and_the_reason_names_it(upload: dict[str, Any]) -> None:
    """To copy a terabyte takes longer than the function has: then nobody would ever learn the reason."""
    reason = {"code": "one_class", "message": "the target has one value"}
    large = upload | {"size": QUARANTINE_BYTES + 1}
    run(until("preprocess") | {"upload": large, "preprocess": {"status": "rejected", "reason": reason}})
    assert (record()["status"], record()["reason"]) == ("FAILED", reason)
    assert list(objects.keys(DATA, "")) == [f"{KEPT}.reason.json"]
    assert json.loads(objects.get(DATA, f"{KEPT}.reason.json")) == reason | {"upload": large}


def test_a_refused_file_that_was_removed_still_has_its_reason(upload: dict[str, Any]) -> None:
    objects.delete_all(UPLOADS, upload["key"])
    reason = {"code": "empty_file", "message": "the file is empty"}
    state = until("preprocess") | {"upload": upload, "preprocess": {"status": "rejected", "reason": reason}}
    assert run(state)["status"] == "FAILED"
    assert list(objects.keys(DATA, "")) == [f"{KEPT}.reason.json"]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (fault("ValueError", {"errorMessage": "no column", "stackTrace": ["File x"]}), "stage_failed", "no column"),
        (fault("Runtime.HandlerError", {"errorMessage": TRACE}), "stage_failed", "ValueError: no such column"),
        (fault("States.TaskFailed", {"StatusReason": "Host EC2 ended"}), "stage_failed", "Host EC2 ended"),
        (fault("States.TaskFailed", {"FailureReason": "no GPU\nmore"}), "stage_failed", "no GPU"),
        (
            fault("States.TaskFailed", {"JobRun": {"StateDetails": "Job failed. ExitCode: 1"}}),
            "stage_failed",
            "Job failed. ExitCode: 1",
        ),
        (fault("Runtime.OutOfMemory", {"errorMessage": "Runtime exited"}), "out_of_memory", "it ran out of memory"),
        (
            fault("Runtime.ExitError", {"errorMessage": "exited: signal: killed"}),
            "out_of_memory",
            "it ran out of memory",
        ),
        (fault("States.Timeout"), "timed_out", "it took too long"),
        (fault("Lambda.Unknown"), "stage_failed", "Lambda.Unknown"),
        (fault("Odd", {"unknown": 1}), "stage_failed", "Odd"),
        (fault("Odd", "x" * 5_000), "stage_failed", "x" * 500),
    ],
)
def test_a_fault_has_a_sentence_and_no_stack_trace(error: dict[str, str], code: str, message: str) -> None:
    pipelines.report_stage("default", RUN, "register", "RUNNING")
    answer = run(until("register", error=error))
    assert (answer["status"], answer["fault"]) == ("FAILED", True)
    assert (answer["reason"]["code"], answer["reason"]["message"]) == (code, f"register: {message}")
    (stage,) = record()["stages"]
    assert (stage["status"], stage["message"]) == ("FAILED", f"register: {message}")
    assert record()["dataset_version"] == "3f1c5a7e9b2d4f60"
    assert list(objects.keys(DATA, "")) == []


def test_the_reason_of_a_part_is_the_reason_of_the_run() -> None:
    """The map over the parts fails with an error that says nothing of them."""
    reason = {"code": "out_of_memory", "message": "preprocess: it ran out of memory"}
    pipelines.report_stage("default", RUN, "preprocess", "FAILED", message=reason["message"], detail=reason)
    state = until("preprocess") | {"preprocess": {"status": "map", "parts": 3}}
    assert run(state | {"error": fault("States.ExceedToleratedFailureThreshold", "too many failed")}) == {
        "status": "FAILED",
        "fault": True,
        "reason": reason,
    }


def test_the_reason_of_a_job_is_the_jobs_own() -> None:
    reason = {"code": "no_parity", "message": "ONNX and torch differ by 0.2", "hint": "report it"}
    objects.put(MODELS, PREFIX + "failure.json", json.dumps(reason).encode())
    assert run(until("package", error=fault("States.TaskFailed", {"StatusReason": "exit 1"})))["reason"] == reason


def test_a_candidate_is_named_when_training_itself_failed() -> None:
    failure_of("ngram-embedding", OUT_OF_MEMORY)
    reason = run(until("train", error=fault("States.Runtime")))["reason"]
    assert reason == {"code": "no_memory", "message": "candidate ngram-embedding: out of memory"}


def test_what_a_losing_candidate_said_is_not_the_reason_of_a_later_fault() -> None:
    failure_of("ngram-embedding", OUT_OF_MEMORY)
    reason = run(until("package", error=fault("States.TaskFailed", {"StatusReason": "no capacity"})))["reason"]
    assert reason["message"] == "no capacity"


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [("ABORTED", "CANCELLED", "cancelled"), ("TIMED_OUT", "FAILED", "timed_out"), ("FAILED", "FAILED", "stage_failed")],
)
def test_what_the_workflow_could_not_close_is_closed_by_its_event(status: str, expected: str, code: str) -> None:
    stopped = event("watch/conclude-aborted")
    stopped["detail"] |= {"status": status, "error": None, "cause": None}
    pipelines.report_stage("default", RUN, "train", "RUNNING", candidate="mlp")
    for _ in range(2):
        answer = run(stopped)
        assert (answer["status"], answer["reason"]["code"]) == (expected, code)
    assert (record()["status"], record()["stages"][0]["status"]) == (expected, "FAILED")


def test_a_closed_run_stays_as_it_was_closed() -> None:
    run(ENDED)
    run(event("watch/conclude-aborted"))
    assert (record()["status"], record()["reason"]) == ("SUCCEEDED", None)
