"""An empty account (moto) for the jobs of one test."""

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import torch
from moto import mock_aws

from modelmill.aws import clients
from tests.unit.model.world import Cloud

torch.set_num_threads(1)
"""As jobs do: on a busy machine threads that wait for each other take many times the processor's time."""


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An empty account with the table and both buckets, and an empty `/opt/ml`."""
    values = {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "MODELMILL_TABLE": "registry",
        "MODELMILL_DATA_BUCKET": "data",
        "MODELMILL_MODELS_BUCKET": "models",
        "MODELMILL_ML_ROOT": str(tmp_path / "ml"),
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        clients.client.cache_clear()
        for bucket in ("data", "models"):
            boto3.client("s3").create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_DEFAULT_REGION"]}
            )
        boto3.client("dynamodb").create_table(
            TableName="registry",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        )
        yield Cloud(tmp_path / "ml")
    clients.client.cache_clear()
    torch.set_deterministic_debug_mode("default")
