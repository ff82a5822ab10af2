"""An AWS in memory (moto) with the resources that the stacks make, for one test; functions loaded by folder."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from modelmill.aws import clients
from moto import mock_aws

ROOT = Path(__file__).parents[2]
REGION = "eu-central-1"
UPLOADS, DATA, MODELS = "uploads", "data", "models"
TABLE = "modelmill"


@contextmanager
def moto_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Buckets (versioned), table and state machine, named in the environment as the stacks name them."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name, value in (("UPLOADS_BUCKET", UPLOADS), ("DATA_BUCKET", DATA), ("MODELS_BUCKET", MODELS)):
        monkeypatch.setenv(f"MODELMILL_{name}", value)
    monkeypatch.setenv("MODELMILL_TABLE", TABLE)
    with mock_aws():
        clients.client.cache_clear()
        monkeypatch.setenv("MODELMILL_STATE_MACHINE_ARN", _furnish())
        yield
        clients.client.cache_clear()


def _furnish() -> str:
    s3 = boto3.client("s3")
    for bucket in (UPLOADS, DATA, MODELS):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    )
    states = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    role = "arn:aws:iam::123456789012:role/pipeline"
    machine = boto3.client("stepfunctions").create_state_machine(name="pipeline", definition=states, roleArn=role)
    return str(machine["stateMachineArn"])


def load_function(folder: str) -> ModuleType:
    """The module `handler` of `functions/{folder}`, fresh, with its folder importable as it is in Lambda."""
    path = ROOT / "functions" / folder
    if str(path) not in sys.path:
        sys.path.append(str(path))
    name = "function_" + folder.replace("/", "_")
    spec = importlib.util.spec_from_file_location(name, path / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def event(name: str) -> dict[str, Any]:
    """A trigger's payload from `events/`."""
    document: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text(encoding="utf-8"))
    return document
