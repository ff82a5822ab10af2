"""The HTTP interface of the data plane, whatever carries it: paths, bodies, refusals. Wires add limits and keys.

A fault of the caller is a 4xx with cause and hint; whatever else is raised is ours, and gives a 500 that says nothing
but the request id, under which the log says where. No line holds a payload.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson

from modelmill.core.errors import ModelmillError, Unavailable
from modelmill.core.version import VERSION
from modelmill.serving import binary, report
from modelmill.serving.plane import Call, DataPlane

SERVER = {"name": "modelmill", "version": VERSION, "extensions": ["binary_tensor_data"]}
JSON = "application/json"
OCTETS = "application/octet-stream"


@dataclass(slots=True)
class Request:
    """What a wire got: header names in lower case, the body as it came."""

    headers: Mapping[str, str]
    body: bytes | str


@dataclass(slots=True)
class Response:
    """What a wire sends."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


class MethodNotAllowed(ModelmillError):
    """The path is answered for another method only."""

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__("method_not_allowed", f"{method!r} is not allowed here", status=405, hint=f"use {allowed}")
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path, its method and what answers it. `counted` requests are predictions and appear in the metrics."""

    path: re.Pattern[str]
    method: str
    run: Callable[[DataPlane, Call, Request], Response]
    counted: bool = False
    public: bool = False


def predict(plane: DataPlane, call: Call, request: Request) -> Response:
    """POST …/predict."""
    _check_encoding(request)
    return predict_document(plane, call, binary.parse(request.body))


def infer(plane: DataPlane, call: Call, request: Request) -> Response:
    """POST …/infer, with tensors in JSON or behind it."""
    return infer_document(plane, call, document_of(request))


def document_of(request: Request) -> Any:
    """The body's JSON, with the tensors that follow it in place; raises ModelmillError (400, 415)."""
    _check_encoding(request)
    length, body = request.headers.get(binary.LENGTH_HEADER), request.body
    if isinstance(body, bytes):
        return binary.read(body, length)
    if length is not None:
        raise ModelmillError(
            "binary_tensors",
            "the binary tensors did not come as bytes",
            status=415,
            hint=f"send Content-Type: {OCTETS}, or send tensors as JSON",
        )
    return binary.read(body.encode(errors="surrogatepass"))


def predict_document(plane: DataPlane, call: Call, document: Any) -> Response:
    """The answer to a predict request that was read."""
    return _json(plane.predict(call, document))


def infer_document(plane: DataPlane, call: Call, document: Any) -> Response:
    """The answer to an infer request that was read."""
    body, head = binary.write(plane.infer(call, document), document)
    if head is None:
        return Response(200, body)
    return Response(200, body, OCTETS, {"Inference-Header-Content-Length": str(head)})


def _json(document: Any) -> Response:
    return Response(200, orjson.dumps(document))


_MODEL = r"/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?"
ENDPOINTS = (
    Endpoint(re.compile(f"/v1{_MODEL}/predict"), "POST", predict, counted=True),
    Endpoint(re.compile(f"/v2{_MODEL}/infer"), "POST", infer, counted=True),
    Endpoint(re.compile("/v2/health/live"), "GET", lambda *_: _json({"live": True}), public=True),
    Endpoint(re.compile("/v2/health/ready"), "GET", lambda *_: _json({"ready": True}), public=True),
    Endpoint(re.compile("/v2"), "GET", lambda *_: _json(SERVER)),
    Endpoint(re.compile(f"/v2{_MODEL}/ready"), "GET", lambda plane, call, _: _json(plane.ready(call))),
    Endpoint(re.compile(f"/v2{_MODEL}"), "GET", lambda plane, call, _: _json(plane.describe(call))),
)
_PATHS = "POST /v1/models/MODEL/predict, POST /v2/models/MODEL/infer, GET /v2/models/MODEL"


def find(path: str, method: str) -> tuple[Endpoint, str, str | None]:
    """What answers, and the model ("-" for none) and version that the path names; raises ModelmillError (404, 405)."""
    for endpoint in ENDPOINTS:
        if found := endpoint.path.fullmatch(path):
            if method != endpoint.method:
                raise MethodNotAllowed(method[:20], endpoint.method)
            names = found.groupdict()
            return endpoint, unquote(names.get("model") or "-"), unquote(names.get("version") or "") or None
    raise ModelmillError("not_found", "there is nothing at this path", status=404, hint=_PATHS)


def guarded(run: Callable[[], Response], call: Call, path: str, request_id: str) -> Response:
    """What `run` gives or, in the shape of the path, the refusal of what it raises; never raises."""
    try:
        return run()
    except ModelmillError as error:
        report.refused(request_id, call, error)
        return refusal(error, path, request_id)
    # The last boundary: the caller gets a request id, the log gets type and place. The message may quote the payload.
    except Exception as error:  # noqa: BLE001
        report.failed(request_id, call, error)
        fault = ModelmillError("internal", "this is a fault of the server", status=500, hint="quote the request id")
        return refusal(fault, path, request_id)


def refusal(error: ModelmillError, path: str, request_id: str) -> Response:
    """The API's shape or, under /v2, the Open Inference Protocol's `{"error": "message"}`."""
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers = {"Allow": error.allowed}
    elif isinstance(error, Unavailable):
        headers = {"Retry-After": str(error.retry_after)}
    if path.startswith("/v2"):
        body = orjson.dumps({"error": sentence(error)})
    else:
        body = orjson.dumps({"error": error.as_dict() | {"request_id": request_id}})
    return Response(error.status, body, headers=headers)


def sentence(error: ModelmillError) -> str:
    """A refusal in one line, for the protocols that have room for no more."""
    extra = [f"limit {error.limit}"] * (error.limit is not None) + [error.hint] * (error.hint is not None)
    return "; ".join([error.message, *map(str, extra)])


def unauthorized() -> ModelmillError:
    """The refusal of a request without a known key."""
    return ModelmillError(
        "unauthorized", "the request carries no known key", status=401, hint="send Authorization: Bearer KEY"
    )


def _check_encoding(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ModelmillError(
            "unsupported_encoding", f"the body is {encoding:.20}", status=415, hint="send it without Content-Encoding"
        )
