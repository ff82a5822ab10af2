"""API Gateway's REST proxy events (payload format 1.0) in, its responses out; what they say is `modelmill.serving.api`.

Bytes come and go as base64: API Gateway does that for `application/octet-stream` (what else it carries is text), on
the way back only if the caller's Accept names that type first.
"""

import base64
import binascii
import json
import time
from collections.abc import Mapping
from typing import Any

from modelmill.core.errors import ModelmillError
from modelmill.core.limits import LAMBDA_PAYLOAD_BYTES
from modelmill.serving import api, report
from modelmill.serving.plane import Call, DataPlane

Event = Mapping[str, Any]
Reply = dict[str, Any]


def answer(plane: DataPlane, event: Event) -> Reply:
    """The response to one event; never raises."""
    started = time.perf_counter()
    context, headers = event.get("requestContext") or {}, _headers(event)
    request_id = str(context.get("requestId", "-"))
    path = "/" + str(event.get("path") or "").strip("/")
    call = Call(tenant="-", model="-", version=None, key=headers.get("x-modelmill-key") or request_id)
    counted = False

    def run() -> api.Response:
        nonlocal counted
        endpoint, call.model, call.version = api.find(path, str(event.get("httpMethod")))
        counted = endpoint.counted
        if not endpoint.public:
            call.tenant = _tenant(context)
        body = _body(event) if endpoint.method == "POST" else b""
        return _fitting(endpoint.run(plane, call, api.Request(headers, body)), headers)

    response = api.guarded(run, call, path, request_id)
    if counted:
        report.counted(call, response.status, time.perf_counter() - started)
    binary = response.media_type == api.OCTETS
    return {
        "statusCode": response.status,
        "headers": {"Content-Type": response.media_type, **response.headers},
        "body": base64.b64encode(response.body).decode() if binary else response.body.decode(),
        "isBase64Encoded": binary,
    }


def _body(event: Event) -> bytes | str:
    """The request's body; raises ModelmillError (413 over the limit, 400 for what is marked as base64 and is not)."""
    text: str = event.get("body") or ""
    if len(text) * 4 > LAMBDA_PAYLOAD_BYTES and (size := len(text.encode(errors="replace"))) > LAMBDA_PAYLOAD_BYTES:
        raise _too_large(size, "request")
    if not event.get("isBase64Encoded"):
        return text
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ModelmillError("bad_request", "the body is marked as base64 and is not") from None


def _fitting(response: api.Response, headers: Mapping[str, str]) -> api.Response:
    """The answer, if it fits into a function's once that is JSON again (each quote grows, each accent more)."""
    body = response.body
    if response.media_type == api.OCTETS:
        if not headers.get("accept", "").strip().lower().startswith(api.OCTETS):
            raise ModelmillError(
                "not_acceptable", "binary outputs need their own Accept", status=406, hint=f"send Accept: {api.OCTETS}"
            )
        if (size := len(body) * 4 // 3) > LAMBDA_PAYLOAD_BYTES:
            raise _too_large(size, "answer")
    elif len(body) * 3 > LAMBDA_PAYLOAD_BYTES and (size := len(json.dumps(body.decode()))) > LAMBDA_PAYLOAD_BYTES:
        raise _too_large(size, "answer")
    return response


def _tenant(context: Event) -> str:
    tenant = (context.get("authorizer") or {}).get("tenant")
    if not tenant:
        raise api.unauthorized()
    return str(tenant)


def _headers(event: Event) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}


def _too_large(size: int, what: str) -> ModelmillError:
    return ModelmillError(
        "too_large",
        f"the {what} has {size} bytes",
        status=413,
        limit=LAMBDA_PAYLOAD_BYTES,
        hint="send fewer instances per request",
    )
