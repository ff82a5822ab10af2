"""A small AWS for the functions: the emulator with the buckets, the table and a state machine as the stacks make them.

No function runs in this emulator: the functions run under the Runtime Interface Emulator and call it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3

from tests.functions.rie.runtime import free_ports, kill_tree, wait_for_port
from tests.functions.rie.stack import deployed

UPLOADS, DATA, MODELS = "uploads-000000000000", "data-000000000000", "models-000000000000"
TABLE = "modelmill"
REGION = "eu-central-1"
CREDENTIALS = {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
_STATES = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}


@dataclass(frozen=True)
class World:
    """An endpoint for `AWS_ENDPOINT_URL`, and what a test wants to see of it."""

    endpoint: str
    state_machine_arn: str

    def variables(self, function: str) -> dict[str, str]:
        """The environment of a function in this world: the names that the stacks give it, and no other."""
        here = {
            "MODELMILL_UPLOADS_BUCKET": UPLOADS,
            "MODELMILL_DATA_BUCKET": DATA,
            "MODELMILL_MODELS_BUCKET": MODELS,
            "MODELMILL_TABLE": TABLE,
            "MODELMILL_STATE_MACHINE_ARN": self.state_machine_arn,
        }
        settings = deployed()[function]
        filled = {name: here[name] if value is None else value for name, value in settings.variables.items()}
        lambda_sets = {
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings.memory),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(settings.seconds),
        }
        return {"AWS_ENDPOINT_URL": self.endpoint, **lambda_sets, **filled}

    @property
    def job_variables(self) -> dict[str, str]:
        """The environment of a job, as the workflow gives it."""
        names = {"MODELMILL_DATA_BUCKET": DATA, "MODELMILL_MODELS_BUCKET": MODELS, "MODELMILL_TABLE": TABLE}
        return {"AWS_ENDPOINT_URL": self.endpoint, **CREDENTIALS, **names}

    @cached_property
    def s3(self) -> Any:
        """A client of this world's S3."""
        return _client("s3", self.endpoint)

    @property
    def executions(self) -> list[str]:
        """Names of the pipeline's executions."""
        listed = _client("stepfunctions", self.endpoint).list_executions(stateMachineArn=self.state_machine_arn)
        return [execution["name"] for execution in listed["executions"]]

    def input_of(self, execution: str) -> dict[str, Any]:
        """What an execution was started with."""
        arn = self.state_machine_arn.replace(":stateMachine:", ":execution:") + f":{execution}"
        described = _client("stepfunctions", self.endpoint).describe_execution(executionArn=arn)
        return dict(json.loads(described["input"]))

    def put(self, bucket: str, key: str, data: bytes) -> str:
        """Store an object; the id of its version."""
        return str(self.s3.put_object(Bucket=bucket, Key=key, Body=data)["VersionId"])

    def get(self, bucket: str, key: str) -> bytes:
        """Bytes of an object."""
        return bytes(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def get_json(self, bucket: str, key: str) -> Any:
        """A JSON object."""
        return json.loads(self.get(bucket, key))

    def keys(self, bucket: str, prefix: str) -> set[str]:
        """Keys under a prefix, without it."""
        listed = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return {entry["Key"].removeprefix(prefix) for entry in listed}

    def put_record(self, pk: str, sk: str, body: dict[str, Any]) -> None:
        """Write an item of the table."""
        item = {"pk": {"S": pk}, "sk": {"S": sk}, "body": {"S": json.dumps(body)}}
        _client("dynamodb", self.endpoint).put_item(TableName=TABLE, Item=item)

    def records(self, pk: str) -> list[dict[str, Any]]:
        """Items of a partition of the table, by sort key."""
        query = _client("dynamodb", self.endpoint).query(
            TableName=TABLE, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": pk}}
        )
        return list(query["Items"])


def _client(service: str, endpoint: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@contextmanager
def running(folder: Path, address: str = "127.0.0.1") -> Iterator[World]:
    """A world of its own on a free port of `address`; it writes to `folder` only."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "ministack"]
    with (folder / "world.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(folder, address, port), stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for_port(port, process, address)
        endpoint = f"http://{address}:{port}"
        yield World(endpoint, _furnish(endpoint))
    finally:
        kill_tree(process)


def _environment(folder: Path, address: str, port: int) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(folder),
        "BIND_HOST": address,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "S3_DATA_DIR": str(folder / "s3"),
        "STATE_DIR": str(folder / "state"),
    }


def _furnish(endpoint: str) -> str:
    s3 = _client("s3", endpoint)
    for bucket in (UPLOADS, DATA, MODELS):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    _client("dynamodb", endpoint).create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    )
    role = "arn:aws:iam::000000000000:role/pipeline"
    states = json.dumps(_STATES)
    machine = _client("stepfunctions", endpoint).create_state_machine(name="pipeline", definition=states, roleArn=role)
    return str(machine["stateMachineArn"])
