"""Bearer keys in, tenants out: the same keys as behind API Gateway, remembered for a minute as the authoriser does."""

import time
from collections.abc import Callable
from typing import Any

from modelmill.core.names import DEFAULT_TENANT
from modelmill.serving.api import unauthorized

SECONDS = 60
_CAPACITY = 1_000


class Keys:
    """`find` looks a key up and may block; None lets everybody in as the default tenant."""

    def __init__(self, find: Callable[[str], dict[str, Any] | None] | None) -> None:
        self._find = find
        self._known: dict[str, tuple[float, str]] = {}

    def known(self, authorization: str) -> str | None:
        """The tenant of a header `Authorization` without looking it up."""
        if self._find is None:
            return DEFAULT_TENANT
        until, tenant = self._known.get(authorization, (0.0, ""))
        return tenant if time.monotonic() < until else None

    def tenant(self, authorization: str) -> str | None:
        """The tenant, looked up if need be; None for a key that nobody has. Unknown keys are not remembered."""
        if (tenant := self.known(authorization)) is not None or self._find is None:
            return tenant
        scheme, _, key = authorization.partition(" ")
        owner = self._find(key.strip()) if scheme.lower() == "bearer" else None
        if owner is None:
            self._known.pop(authorization, None)
            return None
        if len(self._known) >= _CAPACITY:
            self._known.clear()
        self._known[authorization] = time.monotonic() + SECONDS, owner["tenant"]
        return str(owner["tenant"])

    def required(self, authorization: str) -> str:
        """The tenant; raises ModelmillError (401)."""
        tenant = self.tenant(authorization)
        if tenant is None:
            raise unauthorized()
        return tenant
