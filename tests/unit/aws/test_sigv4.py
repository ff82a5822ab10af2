"""Our signatures are botocore's, whatever the key, the body and the session; credentials are renewed in time."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from modelmill.aws.sigv4 import Credentials, CredentialSource, sign

REGION = "eu-central-1"
TOKENS = st.one_of(st.none(), st.text("abcDEF0123/+=", min_size=1, max_size=40))


def signed_by_both(signer: type[SigV4Auth], credentials: Credentials, request: AWSRequest) -> tuple[str, str]:
    """The Authorization headers of botocore and of ours for one request at one moment."""
    service = "s3" if signer is S3SigV4Auth else "dynamodb"
    url = urlsplit(str(request.url))
    plain = {name.lower(): str(value) for name, value in request.headers.items()} | {"host": url.netloc}
    known = BotocoreCredentials(credentials.access_key, credentials.secret_key, credentials.token)
    signer(known, service, REGION).add_auth(request)
    ours = sign(
        credentials,
        service=service,
        region=REGION,
        method=str(request.method),
        path=url.path,
        headers=plain,
        body=request.data or b"",
        now=datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
        query=dict(parse_qsl(url.query)),
    )
    assert ours.get("x-amz-security-token") == credentials.token
    return str(request.headers["Authorization"]), ours["authorization"]


@given(st.text(min_size=1, max_size=60), TOKENS, st.one_of(st.none(), st.text("aZ09._-", min_size=1, max_size=32)))
def test_a_read_of_s3_is_signed_as_botocore_signs_it(key: str, token: str | None, version: str | None) -> None:
    path = "/" + quote(f"bucket/{key}", safe="/-_.~", errors="replace")
    url = f"https://s3.example{path}" + (f"?versionId={version}" if version else "")
    botocores, ours = signed_by_both(S3SigV4Auth, Credentials("AKID", "secret/+=", token), AWSRequest("GET", url))
    assert ours == botocores


@given(st.binary(max_size=200), TOKENS)
def test_a_read_of_dynamodb_is_signed_as_botocore_signs_it(body: bytes, token: str | None) -> None:
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.GetItem"}
    request = AWSRequest("POST", "https://dynamodb.example/", headers=headers, data=body)
    botocores, ours = signed_by_both(SigV4Auth, Credentials("AKID", "secret/+=", token), request)
    assert ours == botocores


class Endpoint(BaseHTTPRequestHandler):
    """Lambda's credentials endpoint under SnapStart."""

    served = 0
    lifetime = timedelta(hours=1)

    def do_GET(self) -> None:
        Endpoint.served += 1
        assert self.headers["Authorization"] == "of this sandbox"
        ends = (datetime.now(UTC) + self.lifetime).isoformat().replace("+00:00", "Z")
        body = {"AccessKeyId": f"AK{self.served}", "SecretAccessKey": "s", "Token": "t", "Expiration": ends}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    Endpoint.served = 0
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.server_port}/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of this sandbox")
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize(("minutes", "asked"), [(60, 1), (4, 2)])
def test_credentials_are_asked_for_again_shortly_before_they_end(
    monkeypatch: pytest.MonkeyPatch, minutes: int, asked: int
) -> None:
    monkeypatch.setattr(Endpoint, "lifetime", timedelta(minutes=minutes))
    source = CredentialSource()
    assert source.get() == Credentials("AK1", "s", "t")
    assert source.get().access_key == f"AK{asked}"


def test_credentials_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", raising=False)
    for name, value in (("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b"), ("SESSION_TOKEN", "c")):
        monkeypatch.setenv(f"AWS_{name}", value)
    assert CredentialSource().get() == Credentials("a", "b", "c")
