"""Points `modelmill.aws` of this process at a local cloud for the length of a `with` block."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from modelmill.aws.clients import client
from modelmill.aws.settings import settings

CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
REGION = "us-east-1"
ACCOUNT = "000000000000"
_RESOURCES = {
    "MODELMILL_TABLE": "table",
    "MODELMILL_UPLOADS_BUCKET": "uploads_bucket",
    "MODELMILL_DATA_BUCKET": "data_bucket",
    "MODELMILL_MODELS_BUCKET": "models_bucket",
    "MODELMILL_STATE_MACHINE_ARN": "state_machine_arn",
}


@contextmanager
def connected(cloud: Mapping[str, Any]) -> Iterator[None]:
    """`cloud` is a `cloud.json`; of it only `s3_endpoint` must be there. Not for use by several threads at once."""
    wanted = {
        "AWS_ENDPOINT_URL": cloud["s3_endpoint"],
        "AWS_DEFAULT_REGION": REGION,
        **{name.upper(): value for name, value in CREDENTIALS.items()},
        **{variable: cloud[name] for variable, name in _RESOURCES.items() if name in cloud},
    }
    before = {name: os.environ.get(name) for name in (*wanted, "AWS_PROFILE", "AWS_SESSION_TOKEN")}
    _forget()
    try:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            os.environ.pop(name, None)
        os.environ.update(wanted)
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _forget()


def _forget() -> None:
    client.cache_clear()
    settings.cache_clear()
