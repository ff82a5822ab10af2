"""Workflow starts and stops, what jobs left in S3, and CloudWatch statistics."""

import json
import os
from datetime import UTC, datetime, timedelta

import boto3

from modelmill.aws import jobs, metrics, objects, workflow
from tests.contract.world import MODELS

RUN = "20261124T080000-0123456789"
PREFIX = f"default/runs/{RUN}/"


def execution() -> dict[str, str]:
    arn = os.environ["MODELMILL_STATE_MACHINE_ARN"].replace(":stateMachine:", ":execution:") + f":{RUN}"
    described: dict[str, str] = boto3.client("stepfunctions").describe_execution(executionArn=arn)
    return described


def test_a_run_is_one_execution_with_its_id_as_the_name() -> None:
    assert workflow.start(RUN, {"run_id": RUN, "dataset": "评论"})
    workflow.start(RUN, {"run_id": RUN, "dataset": "评论"})
    listed = boto3.client("stepfunctions").list_executions(stateMachineArn=os.environ["MODELMILL_STATE_MACHINE_ARN"])
    assert [each["name"] for each in listed["executions"]] == [RUN]
    assert json.loads(execution()["input"]) == {"run_id": RUN, "dataset": "评论"}


def test_a_start_with_other_input_is_refused_as_known() -> None:
    workflow.start(RUN, {"n": 1})
    assert not workflow.start(RUN, {"n": 2})
    assert json.loads(execution()["input"]) == {"n": 1}


def test_a_run_is_stopped_if_there_is_one() -> None:
    assert not workflow.stop(RUN, "no such run")
    workflow.start(RUN, {})
    assert workflow.stop(RUN, "cancelled by laptop")
    assert execution()["status"] == "ABORTED"


def put(name: str, document: object) -> None:
    objects.put(MODELS, PREFIX + name, json.dumps(document).encode())


def test_a_candidate_has_its_result_or_its_reason() -> None:
    put("candidates/linear/result.json", {"candidate": "linear", "log_loss": 0.5})
    put("candidates/mlp/failure.json", {"code": "no_memory", "message": "out of memory\nTraceback"})
    assert jobs.candidate_result("default", RUN, "linear", "") == {"candidate": "linear", "log_loss": 0.5}
    assert jobs.candidate_result("default", RUN, "mlp", "")["error"] == "candidate mlp: out of memory"
    killed = jobs.candidate_result("default", RUN, "tree", json.dumps({"StatusReason": "Host EC2 terminated"}))
    assert killed["error"] == "candidate tree: Host EC2 terminated"
    silent = jobs.candidate_result("default", RUN, "tree", "")
    assert silent["error"] == "candidate tree: the job ended without a result and did not say why"


def test_the_reason_of_a_job_that_later_succeeded_is_no_reason() -> None:
    put("candidates/mlp/failure.json", {"code": "no_memory", "message": "out of memory"})
    assert [each["message"] for each in jobs.failures("default", RUN, ["mlp"])] == ["candidate mlp: out of memory"]
    assert jobs.failures("default", RUN, []) == []
    put("failure.json", {"code": "no_parity", "message": "ONNX and torch differ"})
    assert [each["code"] for each in jobs.failures("default", RUN, [])] == ["no_parity"]
    put("package.json", {"digest": "d"})
    assert jobs.failures("default", RUN, ["mlp"]) == []


def test_statistics_come_in_the_order_asked_over_more_than_one_call() -> None:
    now = datetime.now(UTC)
    cloudwatch = boto3.client("cloudwatch")
    for version, value in (("1", 5), ("1", 7), ("2", 11)):
        data = {
            "MetricName": "Predictions",
            "Dimensions": [{"Name": "version", "Value": version}],
            "Timestamp": now - timedelta(minutes=10),
            "Value": value,
        }
        cloudwatch.put_metric_data(Namespace="modelmill", MetricData=[data])
    queries = [metrics.Query("Predictions", {"version": str(number)}, "Sum") for number in (2, 1, *range(3, 601))]
    found = metrics.statistics([*queries, queries[1]], timedelta(hours=1), now)
    assert found[:2] == [11, 12]
    assert found[2:-1] == [None] * 598
    assert found[-1] == 12
    assert metrics.statistics([], timedelta(hours=1), now) == []
