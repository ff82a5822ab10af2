"""Pieces of Amazon States Language (JSONata) that the workflow's states are made of: names in, parts of states out."""

import json
from typing import Any

State = dict[str, Any]

JOB_PREFIX = "modelmill-"
"""Begins the name of every job: the state machine's role may touch no others of SageMaker's."""

# Throttling and faults of the service itself; a fault in our own code is not helped by running it again.
LAMBDA_FAULTS = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
]


def function(name: str, *, seconds: int, then: str, on_fault: str = "Conclude") -> State:
    """Invoke a function with the whole state and put what it returns beside it, under its name in lower case."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": f"${{{name}Arn}}", "Payload": "{% $states.input %}"},
        **put(name.lower(), "$states.result.Payload"),
        "TimeoutSeconds": seconds,
        "Retry": [retry(LAMBDA_FAULTS, first_wait=2)],
        "Catch": [catch(on_fault)],
        "Next": then,
    }


def put(name: str, expression: str) -> State:
    """The input with the value of an expression beside it, as the state's output."""
    return {"Output": f"{{% $merge([$states.input, {{'{name}': {expression}}}]) %}}"}


def expression(value: Any) -> str:
    """JSON with `{% … %}` texts in it as one JSONata expression, for what depends on a condition as a whole."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {expression(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(expression, value)) + "]"
    if isinstance(value, str) and value.startswith("{%"):
        return f"({value[2:-2].strip()})"
    return json.dumps(value)


def catch(then: str) -> State:
    """Go on with any error, which is put beside the input."""
    return {"ErrorEquals": ["States.ALL"], **put("error", "$states.errorOutput"), "Next": then}


def retry(errors: list[str], *, first_wait: int, attempts: int = 5) -> State:
    """Try again after these errors; waits in seconds."""
    return {
        "ErrorEquals": errors,
        "IntervalSeconds": first_wait,
        "MaxAttempts": attempts,
        "BackoffRate": 2,
        "MaxDelaySeconds": 300,
        "JitterStrategy": "FULL",
    }


def choice(condition: str, *, then: str, otherwise: str) -> State:
    """A fork in the way."""
    return {
        "Type": "Choice",
        "Choices": [{"Condition": f"{{% {condition} %}}", "Next": then}],
        "Default": otherwise,
    }


def environment() -> dict[str, str]:
    """What every job reads from its environment."""
    return {
        # botocore reads this variable alone, and neither SageMaker nor Batch on EC2 sets it.
        "AWS_DEFAULT_REGION": "${Region}",
        "MODELMILL_TABLE": "${TableName}",
        "MODELMILL_DATA_BUCKET": "${DataBucket}",
        "MODELMILL_MODELS_BUCKET": "${ModelsBucket}",
    }
