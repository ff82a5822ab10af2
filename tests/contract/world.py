"""An AWS (moto's or the emulator's) with the resources that the stacks make; functions, loaded by their folder."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.request import Request, urlopen

import pytest
from moto import mock_aws

from modelmill.aws import clients

ROOT = Path(__file__).parents[2]
REGION = "eu-central-1"
UPLOADS, DATA, MODELS = "uploads", "data", "models"
TABLE = "modelmill"


@contextmanager
def moto_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Buckets (versioned), table and state machine, named in the environment as the stacks name them."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws(), _named(monkeypatch):
        yield


@contextmanager
def emulated_world(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> Iterator[None]:
    """The same in the local cloud's emulator, which forgets everything first."""
    urlopen(Request(f"{endpoint}/_ministack/reset", method="POST"), timeout=10).close()  # noqa: S310 - ours, on http
    for name, value in (("ENDPOINT_URL", endpoint), ("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test")):
        monkeypatch.setenv(f"AWS_{name}", value)
    # A session keeps the credentials that it found first; making one takes long, so that moto's worlds share theirs.
    clients._session.cache_clear()
    with _named(monkeypatch):
        yield
    clients._session.cache_clear()


@contextmanager
def _named(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name, value in (("UPLOADS_BUCKET", UPLOADS), ("DATA_BUCKET", DATA), ("MODELS_BUCKET", MODELS)):
        monkeypatch.setenv(f"MODELMILL_{name}", value)
    monkeypatch.setenv("MODELMILL_TABLE", TABLE)
    clients.client.cache_clear()
    monkeypatch.setenv("MODELMILL_STATE_MACHINE_ARN", _furnish())
    yield
    clients.client.cache_clear()


def _furnish() -> str:
    s3 = clients.client("s3")
    for bucket in (UPLOADS, DATA, MODELS):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    clients.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    )
    states = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    role = "arn:aws:iam::123456789012:role/pipeline"
    machine = clients.client("stepfunctions").create_state_machine(name="pipeline", definition=states, roleArn=role)
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
