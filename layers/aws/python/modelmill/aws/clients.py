"""boto3 clients, made once per process. Botocore's `standard` retries; short connect timeouts, so that a fault shows."""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 4},
    connect_timeout=3,
    read_timeout=30,
    s3={"addressing_style": "path"},
    signature_version="s3v4",
)


@cache
def client(service: str) -> Any:
    """The process's client of an AWS service; `AWS_ENDPOINT_URL` points it at the local cloud."""
    config = _CONFIG if service == "s3" else _CONFIG.merge(Config(signature_version="v4"))
    return boto3.client(service, config=config)
