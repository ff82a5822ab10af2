"""AWS clients, made once per process. Botocore's `standard` retries; short connect timeouts, so that a fault shows.

Botocore is used without boto3's session (10 ms of every cold start). boto3's managed transfers (`upload_file`,
`download_file`, `copy` and their like) are lent to the S3 client and imported when one of them is called.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

FAULTS: tuple[type[Exception], ...] = (BotoCoreError, ClientError)
"""What a call raises when the service refuses it or cannot be reached."""

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 4},
    connect_timeout=3,
    read_timeout=30,
    s3={"addressing_style": "path"},
    signature_version="s3v4",
)
_TRANSFERS = ("upload_file", "upload_fileobj", "download_file", "download_fileobj", "copy")


@cache
def client(service: str) -> Any:
    """The process's client of an AWS service; `AWS_ENDPOINT_URL` points it at the local cloud."""
    config = _CONFIG if service == "s3" else _CONFIG.merge(Config(signature_version="v4"))
    return _session().create_client(service, config=config)


@cache
def _session() -> botocore.session.Session:
    session = botocore.session.get_session()
    session.register("creating-client-class.s3", _lend_transfers)
    return session


def _lend_transfers(**event: Any) -> None:
    event["class_attributes"].update({name: _transfer(name) for name in _TRANSFERS})


def _transfer(name: str) -> Callable[..., Any]:
    def method(s3: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(import_module("boto3.s3.inject"), name)(s3, *args, **kwargs)

    return method
