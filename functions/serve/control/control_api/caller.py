"""Who calls: API Gateway's event in, the tenant, the key's name and the request's id out.

The tenant comes from the authoriser and from nowhere else: no path, header or body can name another.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from modelmill.core.errors import ModelmillError


@dataclass(frozen=True, slots=True)
class Caller:
    """`tenant` whose things are seen, `key_name` for histories and the audit trail."""

    tenant: str
    key_name: str


def request_id(request: Request) -> str:
    """API Gateway's id of the request."""
    return str(request.scope["aws.event"]["requestContext"].get("requestId", "-"))


def _caller(request: Request) -> Caller:
    authorised = request.scope["aws.event"]["requestContext"].get("authorizer") or {}
    if not authorised.get("tenant"):
        raise ModelmillError("unauthorized", "the request carries no key", status=401)
    return Caller(authorised["tenant"], authorised.get("key_name", "-"))


CallerDep = Annotated[Caller, Depends(_caller)]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]
"""The same key again gets the first answer again, and nothing is done a second time."""
