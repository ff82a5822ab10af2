"""AWS clients, made once per process. Botocore's `standard` retries; short connect timeouts, so that a fault shows.

Botocore is used without boto3's session (10 ms of every cold start). boto3's managed transfers (`upload_file`,
`download_file`, `copy` and their like) are lent to the S3 client and imported when one of them is called. Where the
environment has MODELMILL_LEAN_CLIENTS, the clients are those of `lean`, and botocore's are not even imported.
"""

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    import botocore.session

FAULTS: tuple[type[Exception], ...] = (BotoCoreError, ClientError)
"""What a call raises when the service refuses it or cannot be reached."""

_TRANSFERS = ("upload_file", "upload_fileobj", "download_file", "download_fileobj", "copy")


@cache
def client(service: str) -> Any:
    """The process's client of an AWS service; `AWS_ENDPOINT_URL` points it at the local cloud."""
    if "MODELMILL_LEAN_CLIENTS" in os.environ:
        return import_module("modelmill.aws.lean").CLIENTS[service]()
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "max_attempts": 4},
        connect_timeout=3,
        read_timeout=30,
        s3={"addressing_style": "path"},
        signature_version="s3v4" if service == "s3" else "v4",
    )
    return _session().create_client(service, config=config)


@cache
def _session() -> "botocore.session.Session":
    import botocore.session

    session = botocore.session.get_session()
    session.register("creating-client-class.s3", _lend_transfers)
    return session


def _lend_transfers(**event: Any) -> None:
    event["class_attributes"].update({name: _transfer(name) for name in _TRANSFERS})


def _transfer(name: str) -> Callable[..., Any]:
    def method(s3: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(import_module("boto3.s3.inject"), name)(s3, *args, **kwargs)

    return method
