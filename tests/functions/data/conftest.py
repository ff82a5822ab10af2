"""The data functions in process: real handlers, an AWS of moto with the buckets and the table."""

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from modelmill.aws.clients import client

ROOT = Path(__file__).parents[3]
UPLOADS, DATA, MODELS = "uploads-000000000000", "data-000000000000", "models-000000000000"
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def event(name: str) -> Any:
    """A trigger's payload from `events/data/`."""
    return json.loads((ROOT / "events/data" / f"{name}.json").read_text(encoding="utf-8"))


def handler_of(function: str) -> Handler:
    """The handler of `functions/data/{function}`, loaded under a name of its own."""
    name, folder = f"data_{function}_handler", ROOT / "functions/data" / function
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    spec = importlib.util.spec_from_file_location(name, folder / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    loaded: Handler = module.handler
    return loaded


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """S3, DynamoDB and Step Functions in process."""
    environment = {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "MODELMILL_UPLOADS_BUCKET": UPLOADS,
        "MODELMILL_DATA_BUCKET": DATA,
        "MODELMILL_MODELS_BUCKET": MODELS,
        "MODELMILL_TABLE": "registry",
        "MODELMILL_STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:123456789012:stateMachine:pipeline",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client.cache_clear()
        for bucket in (UPLOADS, DATA, MODELS):
            place = {"LocationConstraint": "eu-central-1"}
            client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        client("dynamodb").create_table(
            TableName="registry",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        )
        client("stepfunctions").create_state_machine(
            name="pipeline",
            definition=json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/pipeline",
        )
        yield
    client.cache_clear()
