"""API Gateway's REST proxy events (payload format 1.0) in, its responses out.

Every request gives one answer in JSON. A fault of the caller is a 4xx with cause and hint; whatever else is raised is
ours, and gives a 500 that says nothing but the request id, under which the log says where. No line holds a payload.
"""

import base64
import binascii
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson

from modelmill.core.errors import ModelmillError, Unavailable
from modelmill.core.limits import LAMBDA_PAYLOAD_BYTES
from modelmill.core.version import VERSION
from modelmill.serving import report, tensors
from modelmill.serving.plane import Call, DataPlane

Event = Mapping[str, Any]
Reply = dict[str, Any]
Operation = Callable[[DataPlane, Call, Event], Any]


def _predict(plane: DataPlane, call: Call, event: Event) -> Any:
    return plane.predict(call, body_of(event))


def _infer(plane: DataPlane, call: Call, event: Event) -> Any:
    if "inference-header-content-length" in _headers(event):
        raise tensors.binary_tensors()
    return plane.infer(call, body_of(event))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path, its method and what answers it. `counted` requests are predictions and appear in the metrics."""

    path: re.Pattern[str]
    method: str
    run: Operation
    counted: bool = False


_MODEL = r"/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?"
_SERVER = {"name": "modelmill", "version": VERSION, "extensions": []}
ENDPOINTS = (
    Endpoint(re.compile(f"/v1{_MODEL}/predict"), "POST", _predict, counted=True),
    Endpoint(re.compile(f"/v2{_MODEL}/infer"), "POST", _infer, counted=True),
    Endpoint(re.compile("/v2/health/live"), "GET", lambda _plane, _call, _event: {"live": True}),
    Endpoint(re.compile("/v2/health/ready"), "GET", lambda _plane, _call, _event: {"ready": True}),
    Endpoint(re.compile("/v2"), "GET", lambda _plane, _call, _event: _SERVER),
    Endpoint(re.compile(f"/v2{_MODEL}/ready"), "GET", lambda plane, call, _event: plane.ready(call)),
    Endpoint(re.compile(f"/v2{_MODEL}"), "GET", lambda plane, call, _event: plane.describe(call)),
)
_PATHS = "POST /v1/models/MODEL/predict, POST /v2/models/MODEL/infer, GET /v2/models/MODEL"
_PUBLIC = ("/v2/health/live", "/v2/health/ready")


class MethodNotAllowed(ModelmillError):
    """The path is answered for another method only."""

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__("method_not_allowed", f"{method!r} is not allowed here", status=405, hint=f"use {allowed}")
        self.allowed = allowed


def answer(plane: DataPlane, event: Event) -> Reply:
    """The response to one event; never raises."""
    started = time.perf_counter()
    context = event.get("requestContext") or {}
    request_id = str(context.get("requestId", "-"))
    path = "/" + str(event.get("path") or "").strip("/")
    call = Call(tenant="-", model="-", version=None, key=_headers(event).get("x-modelmill-key") or request_id)
    counted, headers = False, {}
    try:
        endpoint, found = _endpoint(path, str(event.get("httpMethod")))
        counted = endpoint.counted
        call.model, call.version = unquote(found.get("model") or "-"), unquote(found.get("version") or "") or None
        call.tenant = "-" if path in _PUBLIC else _tenant(context)
        status, body = 200, _encoded(endpoint.run(plane, call, event))
    except ModelmillError as error:
        status, headers, body = error.status, _error_headers(error), _error_body(error, path, request_id)
        report.refused(request_id, call, error)
    # The last boundary: the caller gets a request id, the log gets type and place. The message may quote the payload.
    except Exception as error:  # noqa: BLE001
        fault = ModelmillError("internal", "this is a fault of the server", status=500, hint="quote the request id")
        status, body = 500, _error_body(fault, path, request_id)
        report.failed(request_id, call, error)
    if counted:
        report.counted(call, status, time.perf_counter() - started)
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", **headers},
        "body": body,
        "isBase64Encoded": False,
    }


def body_of(event: Event) -> Any:
    """The request's JSON; raises ModelmillError (413 over the limit, 415 if compressed, 400 with the fault's place)."""
    encoding = _headers(event).get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ModelmillError(
            "unsupported_encoding", f"the body is {encoding:.20}", status=415, hint="send it without Content-Encoding"
        )
    text = event.get("body") or ""
    if len(text) * 4 > LAMBDA_PAYLOAD_BYTES and (size := len(text.encode(errors="replace"))) > LAMBDA_PAYLOAD_BYTES:
        raise _too_large(size, "request")
    raw: str | bytes = text
    if event.get("isBase64Encoded"):
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise ModelmillError("bad_request", "the body is marked as base64 and is not") from None
    if not raw:
        raise ModelmillError("bad_request", "the body is empty", hint="send a JSON object")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        hint = "JSON has no NaN and no Infinity: send null for a missing number" if _not_a_number(error) else None
        raise ModelmillError(
            "not_json", f"the body is not JSON: line {error.lineno} column {error.colno}: {error.msg}", hint=hint
        ) from None


def _not_a_number(error: json.JSONDecodeError) -> bool:
    return error.doc[error.pos :].lstrip("-").startswith(("NaN", "nan", "Infinity", "inf"))


def _endpoint(path: str, method: str) -> tuple[Endpoint, dict[str, str | None]]:
    for endpoint in ENDPOINTS:
        if found := endpoint.path.fullmatch(path):
            if method != endpoint.method:
                raise MethodNotAllowed(method[:20], endpoint.method)
            return endpoint, found.groupdict()
    raise ModelmillError("not_found", "there is nothing at this path", status=404, hint=_PATHS)


def _tenant(context: Event) -> str:
    tenant = (context.get("authorizer") or {}).get("tenant")
    if not tenant:
        raise ModelmillError(
            "unauthorized", "the request carries no known key", status=401, hint="send Authorization: Bearer KEY"
        )
    return str(tenant)


def _headers(event: Event) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}


def _encoded(document: Any) -> str:
    """JSON text, if it fits into a function's answer once that is JSON again (each quote grows, each accent more)."""
    body = orjson.dumps(document)
    if len(body) * 3 > LAMBDA_PAYLOAD_BYTES and (size := len(json.dumps(body.decode()))) > LAMBDA_PAYLOAD_BYTES:
        raise _too_large(size, "answer")
    return body.decode()


def _too_large(size: int, what: str) -> ModelmillError:
    return ModelmillError(
        "too_large",
        f"the {what} has {size} bytes",
        status=413,
        limit=LAMBDA_PAYLOAD_BYTES,
        hint="send fewer instances per request",
    )


def _error_headers(error: ModelmillError) -> dict[str, str]:
    if isinstance(error, MethodNotAllowed):
        return {"Allow": error.allowed}
    return {"Retry-After": str(error.retry_after)} if isinstance(error, Unavailable) else {}


def _error_body(error: ModelmillError, path: str, request_id: str) -> str:
    """The API's shape or, under /v2, the Open Inference Protocol's `{"error": "message"}`."""
    if path.startswith("/v2"):
        extra = [f"limit {error.limit}"] * (error.limit is not None) + [error.hint] * (error.hint is not None)
        return orjson.dumps({"error": "; ".join([error.message, *map(str, extra)])}).decode()
    return orjson.dumps({"error": error.as_dict() | {"request_id": request_id}}).decode()
