"""Step Functions: start and stop pipeline runs. The run's id is the name of its execution, so a start is idempotent."""

import json
from typing import Any

from botocore.exceptions import ClientError

from modelmill.aws.clients import client
from modelmill.aws.settings import settings


def start(run_id: str, payload: dict[str, Any]) -> bool:
    """Start a run; False if it was started before."""
    try:
        client("stepfunctions").start_execution(
            stateMachineArn=settings().state_machine_arn, name=run_id, input=json.dumps(payload)
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionAlreadyExists":
            return False
        raise
    return True


def stop(run_id: str, reason: str) -> bool:
    """Abort a run; False if there is no such execution."""
    arn = settings().state_machine_arn.replace(":stateMachine:", ":execution:") + f":{run_id}"
    try:
        client("stepfunctions").stop_execution(executionArn=arn, error="Cancelled", cause=reason)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
            return False
        raise
    return True
