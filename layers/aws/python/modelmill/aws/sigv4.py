"""AWS Signature Version 4: credentials and a request in, the headers that sign it out.

For `lean` alone; everything else is signed by botocore, with which the tests compare. Source: "Signature Version 4
signing process", AWS IAM User Guide.
"""

import hashlib
import hmac
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_EARLY_SECONDS = 300
"""Credentials are renewed this long before they end."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair, with the session's token where there is one."""

    access_key: str
    secret_key: str
    token: str | None = None


class CredentialSource:
    """Lambda's credentials: from the environment or, under SnapStart, from its local endpoint, renewed in time."""

    def __init__(self) -> None:
        self._fetched: Credentials | None = None
        self._renew_at = 0.0

    def get(self) -> Credentials:
        """Credentials that are valid now. Raises KeyError if there are none, OSError if the endpoint fails."""
        url = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        if url is None:
            environ = os.environ
            token = environ.get("AWS_SESSION_TOKEN")
            return Credentials(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], token)
        if self._fetched is None or time.time() > self._renew_at:
            import urllib.request

            headers = {"Authorization": os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")}
            request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the address is Lambda's own
            with urllib.request.urlopen(request, timeout=2) as reply:  # noqa: S310
                body = json.load(reply)
            self._renew_at = datetime.fromisoformat(body["Expiration"]).timestamp() - _EARLY_SECONDS
            self._fetched = Credentials(body["AccessKeyId"], body["SecretAccessKey"], body["Token"])
        return self._fetched


def sign(
    credentials: Credentials,
    *,
    service: str,
    region: str,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime | None = None,
    query: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """`headers` (lower-case names, `host` among them) with those that sign the request; `path` is URL-encoded."""
    moment = f"{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    digest = hashlib.sha256(body).hexdigest()
    signed = {**headers, "x-amz-date": moment}
    if service == "s3":
        signed["x-amz-content-sha256"] = digest
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = sorted(signed)
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in (query or {}).items())
    canonical = "\n".join(
        [
            method,
            path,
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(signed[name].split())}" for name in names),
            "",
            ";".join(names),
            digest,
        ]
    )
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = "\n".join([_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    who = f"Credential={credentials.access_key}/{scope}"
    signed["authorization"] = f"{_ALGORITHM} {who}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return signed
