"""The AWS calls of the hot path without botocore's clients: a read of DynamoDB or S3 in, botocore's answer out.

Importing botocore and making two clients is more than half of a cold start of `predict` (ADR 0007); what `predict`
and `authorise` need of it is one signed HTTP request. The clients here answer in the shapes of botocore's and raise
its errors, so that nothing above `modelmill.aws.clients` can tell which it has.
"""

import http.client
import io
import json
import os
import random
import re
import threading
import time
from collections.abc import Iterator
from email.message import Message
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.exceptions import ClientError, EndpointConnectionError

from modelmill.aws.sigv4 import CredentialSource, sign

Reply = tuple[Message, bytes]
_ATTEMPTS = 4
_TIMEOUT_SECONDS = 5
_RETRIED = frozenset(
    ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "SlowDown")
)


class _Client:
    def __init__(self, service: str) -> None:
        self._service = service
        self._region = os.environ.get("AWS_REGION") or os.environ["AWS_DEFAULT_REGION"]
        suffix = "amazonaws.com.cn" if self._region.startswith("cn-") else "amazonaws.com"
        self.endpoint = os.environ.get("AWS_ENDPOINT_URL") or f"https://{service}.{self._region}.{suffix}"
        self._parts = urlsplit(self.endpoint)
        self._credentials = CredentialSource()
        self._local = threading.local()

    def _send(self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, str]) -> Reply:
        """Headers and body of the reply; faults of the network and of the service are tried again."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                status, found, data = self._once(method, path, headers, body, query)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if attempt == _ATTEMPTS:
                    raise EndpointConnectionError(endpoint_url=self.endpoint, error=error) from error
            else:
                if status == http.HTTPStatus.OK:
                    return found, data
                code, message = _cause(data, status)
                if attempt == _ATTEMPTS or (status < 500 and code not in _RETRIED):
                    details: Any = {
                        "Error": {"Code": code, "Message": message},
                        "ResponseMetadata": {"HTTPStatusCode": status},
                    }
                    raise ClientError(details, headers.get("x-amz-target", method).rpartition(".")[2])
            time.sleep(random.random() * min(0.05 * 2**attempt, 1))  # noqa: S311 - jitter
        raise AssertionError  # the last attempt returns or raises

    def _once(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, str]
    ) -> tuple[int, Message, bytes]:
        signed = sign(
            self._credentials.get(),
            service=self._service,
            region=self._region,
            method=method,
            path=path,
            headers=headers | {"host": self._parts.netloc},
            body=body,
            query=query,
        )
        connection = getattr(self._local, "connection", None) or self._connect()
        target = path + (
            "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items()) if query else ""
        )
        connection.request(method, target, body or None, signed)
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()

    def close(self) -> None:
        """Close this thread's connection."""
        if getattr(self._local, "connection", None):
            self._local.connection.close()
            self._local.connection = None

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        self._local.connection = kind(self._parts.netloc, timeout=_TIMEOUT_SECONDS)
        connection: http.client.HTTPConnection = self._local.connection
        return connection


def _cause(data: bytes, status: int) -> tuple[str, str]:
    """The code and the message of an error, as DynamoDB (JSON) or S3 (XML) says them."""
    text = data.decode("utf-8", "replace")
    try:
        body = json.loads(text)
        return str(body.get("__type", status)).rpartition("#")[2], str(body.get("message") or body.get("Message", ""))
    except (ValueError, AttributeError):
        pass  # no JSON object: S3, or a proxy on the way
    code, message = (re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL) for tag in ("Code", "Message"))
    return code[1] if code else str(status), message[1] if message else ""


class DynamoDB(_Client):
    """`get_item` and `query` as botocore's client has them."""

    def __init__(self) -> None:
        super().__init__("dynamodb")

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        """GetItem; raises ClientError and EndpointConnectionError."""
        return self._call("GetItem", arguments)

    def query(self, **arguments: Any) -> dict[str, Any]:
        """Query; raises ClientError and EndpointConnectionError."""
        return self._call("Query", arguments)

    def _call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"DynamoDB_20120810.{operation}"}
        result: dict[str, Any] = json.loads(self._send("POST", "/", headers, json.dumps(arguments).encode(), {})[1])
        return result


class _Body(io.BytesIO):
    def iter_chunks(self, size: int) -> Iterator[bytes]:
        """The rest of the body in pieces of `size` bytes."""
        while chunk := self.read(size):
            yield chunk


class S3(_Client):
    """`get_object`, with the whole body read, and `head_object` as botocore's client has them."""

    def __init__(self) -> None:
        super().__init__("s3")

    def get_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:  # noqa: N803
        """GetObject; raises ClientError (`NoSuchKey`, …) and EndpointConnectionError."""
        return {"Body": _Body(self._object("GET", Bucket, Key, VersionId)[1])}

    def head_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:  # noqa: N803
        """HeadObject (`ContentLength`, `ETag`); raises ClientError (`404`, …) and EndpointConnectionError."""
        headers, _ = self._object("HEAD", Bucket, Key, VersionId)
        return {"ContentLength": int(headers["content-length"]), "ETag": headers["etag"]}

    def _object(self, method: str, bucket: str, key: str, version: str | None) -> Reply:
        path = "/" + quote(f"{bucket}/{key}", safe="/-_.~")
        return self._send(method, path, {}, b"", {"versionId": version} if version else {})


CLIENTS = {"dynamodb": DynamoDB, "s3": S3}
