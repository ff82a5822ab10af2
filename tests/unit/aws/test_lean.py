"""The lean clients against a server that misbehaves: what is tried again, what is raised, what is kept open."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from modelmill.aws import lean

Answer = tuple[int, bytes] | None
THROTTLED = (400, b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}')
FOUND = (200, b'{"Item":{"pk":{"S":"a"}}}')


class Service(BaseHTTPRequestHandler):
    """Gives the answers one after the other; None closes the connection in the middle."""

    protocol_version = "HTTP/1.1"
    answers: ClassVar[list[Answer]] = []
    seen: ClassVar[list[tuple[str, str, int]]] = []

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.seen.append((self.command, self.path, self.client_address[1]))
        assert self.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=")
        if body:
            json.loads(body)
        answer = self.answers.pop(0)
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer[0])
        self.send_header("Content-Length", str(len(answer[1])))
        self.end_headers()
        self.wfile.write(answer[1])

    do_GET = do_POST = _answer  # noqa: N815 - the base class's names

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    Thread(target=server.serve_forever, daemon=True).start()
    Service.seen.clear()
    for name, value in (("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b"), ("REGION", "eu-central-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("time.sleep", lambda _: None)

    def give(*answers: Answer) -> None:
        Service.answers[:] = answers

    yield give
    server.shutdown()
    server.server_close()


def read() -> dict[str, Any]:
    client = lean.DynamoDB()
    try:
        return client.get_item(TableName="t", Key={"pk": {"S": "a"}})
    finally:
        client.close()


@pytest.mark.parametrize("fault", [THROTTLED, (500, b""), (502, b'{"cut'), (503, b"<html>"), (503, b"[]"), None])
def test_a_passing_fault_is_tried_again(answers: Callable[..., None], fault: Answer) -> None:
    answers(fault, fault, FOUND)
    assert read() == {"Item": {"pk": {"S": "a"}}}
    assert len(Service.seen) == 3


def test_a_lasting_throttle_is_raised_by_its_name(answers: Callable[..., None]) -> None:
    answers(*[THROTTLED] * 4)
    with pytest.raises(ClientError, match="slow down") as fault:
        read()
    assert fault.value.response["Error"]["Code"] == "ThrottlingException"
    assert fault.value.operation_name == "GetItem"


def test_a_refusal_is_not_tried_again(answers: Callable[..., None]) -> None:
    answers((400, b'{"__type":"x#ResourceNotFoundException","Message":"no table"}'))
    with pytest.raises(ClientError, match="no table"):
        read()
    assert len(Service.seen) == 1


def test_a_service_that_hangs_up_each_time_is_a_connection_error(answers: Callable[..., None]) -> None:
    answers(None, None, None, None)
    with pytest.raises(EndpointConnectionError):
        read()


def test_a_missing_object_is_named_as_s3_names_it(answers: Callable[..., None]) -> None:
    answers((404, b"<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"))
    client = lean.S3()
    with pytest.raises(ClientError) as fault:
        client.get_object(Bucket="b", Key="k")
    client.close()
    assert fault.value.response["Error"] == {"Code": "NoSuchKey", "Message": "gone"}


def test_a_connection_is_used_again_and_keys_of_any_script_are_encoded(answers: Callable[..., None]) -> None:
    answers((200, b"one"), (200, b"two"))
    client = lean.S3()
    assert client.get_object(Bucket="b", Key="评论/a b.onnx")["Body"].read() == b"one"
    assert client.get_object(Bucket="b", Key="k", VersionId="v/1")["Body"].read() == b"two"
    client.close()
    (_, first, port), (_, second, again) = Service.seen
    assert (first, second, port) == ("/b/%E8%AF%84%E8%AE%BA/a%20b.onnx", "/b/k?versionId=v%2F1", again)


def test_china_has_its_own_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_REGION", "cn-north-1")
    assert lean.S3().endpoint == "https://s3.cn-north-1.amazonaws.com.cn"
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert lean.DynamoDB().endpoint == "https://dynamodb.eu-central-1.amazonaws.com"
