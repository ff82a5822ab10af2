"""Errors: exceptions in, `{"error": {code, message, limit?, hint?, request_id}}` with the right status out."""

import json
from typing import Any

from aws_lambda_powertools import Logger
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from control_api.caller import request_id
from modelmill.core.errors import ModelmillError, Unavailable

logger = Logger(service="control")
_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}
# Where in a request a value stood: no help to somebody who reads the field's name.
_PLACES = ("body", "path", "query", "header")
_SHOWN = 3
_HINT = "GET /v1/openapi.json describes every request"


class ErrorDetail(BaseModel):
    """What went wrong, for programs (`code`) and for people (the rest)."""

    code: str
    message: str
    limit: Any = None
    hint: str | None = None
    request_id: str


class ErrorBody(BaseModel):
    """The body of every reply that is not a success."""

    error: ErrorDetail


RESPONSES: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}}
"""For the OpenAPI document; it takes the place of FastAPI's own description of a 422, which is never sent."""


def add_handlers(app: FastAPI) -> None:
    """Give every exception of the app its reply."""
    app.add_exception_handler(ModelmillError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _internal)


def _reply(request: Request, status: int, error: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    # ASCII: a lone surrogate in a caller's field name has no other encoding.
    body = json.dumps({"error": error | {"request_id": request_id(request)}})
    return Response(body, status, headers, "application/json")


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ModelmillError)  # noqa: S101 - registered for this type only
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Unavailable) else None
    return _reply(request, error.status, error.as_dict(), headers)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
    problems = error.errors()
    if any(problem["type"] == "json_invalid" for problem in problems):
        return _reply(request, 400, {"code": "bad_json", "message": "the body is not JSON", "hint": _HINT})
    message = "; ".join(map(_sentence, problems[:_SHOWN]))
    return _reply(request, 422, {"code": "bad_request", "message": message, "hint": _HINT})


def _sentence(problem: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in problem["loc"] if part not in _PLACES)
    return f"{where or 'body'}: {problem['msg'].removeprefix('Value error, ')}"


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    code = _CODES.get(error.status_code, "bad_request")
    message = f"{request.method} {request.scope['path']}: {error.detail}"
    body = {"code": code, "message": message, "hint": _HINT}
    return _reply(request, error.status_code, body, dict(error.headers or {}))


def _internal(request: Request, error: Exception) -> Response:
    logger.error("internal error", exc_info=error, extra={"request_id": request_id(request)})
    return _reply(request, 500, {"code": "internal", "message": "something failed on our side; it was logged"})
