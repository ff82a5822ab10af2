"""Select in process: results of jobs in S3 in, a leaderboard and a winner or a reason out."""

import json
from typing import Any

import pytest

from modelmill.aws import objects
from modelmill.aws.records import pipelines
from modelmill.core.model.prices import SPOT_SHARE
from tests.contract.world import MODELS, event, load_function

STATE = event("model/select")
LINEAR, EMBEDDING = STATE["preprocess"]["candidates"]


def put(candidate: str, name: str, document: object) -> None:
    key = f"default/runs/{STATE['run_id']}/candidates/{candidate}/{name}.json"
    objects.put(MODELS, key, json.dumps(document).encode())


def result(candidate: str, loss: float, **more: object) -> None:
    put(candidate, "result", {"candidate": candidate, "loss": loss, "parameters": 10, "train_seconds": 1_800, **more})


def run() -> dict[str, Any]:
    answer: dict[str, Any] = load_function("model/select").handler(STATE, None)
    json.dumps(answer, allow_nan=False)
    return answer


def stages() -> dict[tuple[str, str | None], dict[str, Any]]:
    return {(each["stage"], each["candidate"]): each for each in pipelines.stages("default", STATE["run_id"])}


def test_the_smaller_loss_wins() -> None:
    result(LINEAR, 0.4)
    result(EMBEDDING, 0.3)
    answer = run()
    assert (answer["status"], answer["candidate"]) == ("ok", EMBEDDING)
    assert [row["candidate"] for row in answer["leaderboard"]] == [EMBEDDING, LINEAR]
    assert run() == answer
    assert answer["runner_up"] == LINEAR
    assert answer["spent"] == {"seconds": 3_600.0, "dollars": pytest.approx(0.23 * SPOT_SHARE, abs=1e-4)}
    told = stages()["select", None]
    assert told["message"] == f"{EMBEDDING} wins with a validation log loss of 0.3000, before {LINEAR} with 0.4000"
    assert told["detail"]["runner_up"] == LINEAR


def test_a_job_of_the_same_study_is_no_runner_up() -> None:
    result(LINEAR, 0.4, study="s", trials=9, interval=[0.3, 0.5])
    result(EMBEDDING, 0.3, study="s", trials=9)
    answer = run()
    assert (answer["candidate"], answer["runner_up"]) == (EMBEDDING, None)
    assert answer["leaderboard"][1]["interval"] == [0.3, 0.5]


def test_a_candidate_whose_job_was_killed_loses_and_says_so() -> None:
    result(LINEAR, 0.4)
    pipelines.report_stage("default", STATE["run_id"], "train", "RUNNING", candidate=EMBEDDING)
    answer = run()
    assert answer["candidate"] == LINEAR
    message = f"candidate {EMBEDDING}: the instance was reclaimed"
    assert answer["leaderboard"][1]["error"] == message
    failed = stages()["train", EMBEDDING]
    assert (failed["status"], failed["message"]) == ("FAILED", message)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_candidate_that_diverged_cannot_win(loss: float) -> None:
    result(LINEAR, 0.9)
    result(EMBEDDING, loss)
    assert run()["candidate"] == LINEAR
    assert "diverged" in stages()["train", EMBEDDING]["message"]


def test_without_a_winner_the_run_is_rejected_with_the_jobs_own_reason() -> None:
    put(LINEAR, "failure", {"code": "no_memory", "message": "out of memory"})
    put(EMBEDDING, "failure", {"code": "no_memory", "message": "out of memory"})
    answer = run()
    assert answer["status"] == "rejected"
    assert answer["reason"]["code"] == "no_candidate"
    assert f"candidate {EMBEDDING}: out of memory" in answer["reason"]["message"]
    assert stages()["select", None]["status"] == "FAILED"
