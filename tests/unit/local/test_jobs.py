"""Both `.sync` integrations through a real state machine: success, failure, limits, abort, parallel runs."""

import json
import time
import uuid
from datetime import datetime
from typing import Any

from tests.unit.local.conftest import Toy
from tests.unit.local.toy import JOB


def start(aws: Any, machine: str, **more: Any) -> str:
    sfn = aws("stepfunctions")
    arn = next(
        m["stateMachineArn"] for m in sfn.list_state_machines()["stateMachines"] if m["name"] == f"toy-{machine}"
    )
    name = f"run-{uuid.uuid4().hex[:8]}"
    return str(sfn.start_execution(stateMachineArn=arn, name=name, input=json.dumps(more))["executionArn"])


def finish(aws: Any, arn: str, seconds: float = 40) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        described: dict[str, Any] = aws("stepfunctions").describe_execution(executionArn=arn)
        if described["status"] != "RUNNING":
            return described
        time.sleep(0.1)
    raise AssertionError(f"still running after {seconds} s")


def log(toy: Toy, arn: str) -> str:
    folder = toy.home / "logs" / "jobs" / arn.rsplit(":", 1)[1]
    return "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.log")))


def test_a_training_job_gets_its_files_and_leaves_its_model(toy: Toy, aws: Any) -> None:
    bucket = toy.cloud["data_bucket"]
    aws("s3").put_object(Bucket=bucket, Key="in/part/rows.txt", Body=b"some rows")
    arn = start(aws, "read", bucket=bucket)
    ended = finish(aws, arn)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    described = json.loads(ended["output"])
    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Completed"
    assert described["TrainingEndTime"] >= described["TrainingStartTime"] > 1.7e12
    artifact = described["ModelArtifacts"]["S3ModelArtifacts"]
    assert artifact.endswith("/output/model.tar.gz")
    aws("s3").head_object(Bucket=bucket, Key=artifact.split("/", 3)[3])
    aws("s3").head_object(Bucket=bucket, Key="checkpoints/1.pt")
    assert "channel: some rows" in log(toy, arn)


def test_a_failed_training_job_fails_the_task_with_its_reason(toy: Toy, aws: Any) -> None:
    ended = finish(aws, start(aws, "fail", bucket=toy.cloud["data_bucket"]))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(ended["cause"])
    assert cause["TrainingJobStatus"] == "Failed"
    assert cause["FailureReason"] == "AlgorithmError: the toy broke, exit code: 1"


def test_a_missing_channel_fails_before_the_job_starts(aws: Any) -> None:
    aws("s3").create_bucket(Bucket="empty")
    ended = finish(aws, start(aws, "read", bucket="empty"))
    assert json.loads(ended["cause"])["FailureReason"].startswith("ClientError: Data download failed")


def test_a_job_over_its_time_is_stopped(toy: Toy, aws: Any) -> None:
    ended = finish(aws, start(aws, "limit", bucket=toy.cloud["data_bucket"]))
    assert json.loads(ended["cause"])["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_stopping_the_execution_stops_the_job_and_stays_aborted(toy: Toy, aws: Any) -> None:
    arn = start(aws, "sleep", bucket=toy.cloud["data_bucket"])
    end = time.monotonic() + 20
    while "job does sleep" not in log(toy, arn):
        assert time.monotonic() < end
        time.sleep(0.1)
    jobs = toy.home / "jobs"
    assert list(jobs.iterdir())
    aws("stepfunctions").stop_execution(executionArn=arn, error="Cancelled")
    while list(jobs.iterdir()):  # removed once the process has ended
        assert time.monotonic() < end
        time.sleep(0.1)
    assert finish(aws, arn)["status"] == "ABORTED"


def test_batch_jobs_of_a_map_run_side_by_side(toy: Toy, aws: Any) -> None:
    slow = JOB.replace('given.get("seconds", 0)', "2")
    arn = start(aws, "map", items=["a", "b"], code=slow)
    ended = finish(aws, arn)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    first, second = json.loads(ended["output"])
    assert first["Status"] == second["Status"] == "SUCCEEDED"
    assert first["StartedAt"] < second["StoppedAt"]
    assert second["StartedAt"] < first["StoppedAt"]
    assert {"job does a", "job does b"} == set(log(toy, arn).splitlines())


def test_a_failed_batch_job_fails_the_task_with_its_exit_code(aws: Any) -> None:
    ended = finish(aws, start(aws, "map", items=["fail"], code=JOB))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(ended["cause"])
    assert (cause["Status"], cause["Container"]["ExitCode"]) == ("FAILED", 1)
    assert datetime.fromtimestamp(cause["StoppedAt"] / 1000).year >= 2026  # noqa: DTZ006 - a sanity check
