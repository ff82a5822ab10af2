"""What can go wrong because of the caller's input, as values with a way out.

A `ModelmillError` is a fault of the input, never of the infrastructure: wires turn it into a 4xx reply, the
workflow turns it into a rejected run. Anything else that is raised is a fault of ours and stays an exception.
"""

from typing import Any


class ModelmillError(Exception):
    """A refusal: stable `code`, human `message`, optional `limit` and `hint`, HTTP `status` (RFC 9110)."""

    def __init__(
        self, code: str, message: str, *, status: int = 400, limit: Any = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.limit = limit
        self.hint = hint

    def as_dict(self) -> dict[str, Any]:
        """`{"code", "message", "limit"?, "hint"?}`, the body of the API's `error` and of a run's `reason`."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.limit is not None:
            body["limit"] = self.limit
        if self.hint is not None:
            body["hint"] = self.hint
        return body

    @classmethod
    def from_dict(cls, body: dict[str, Any], status: int = 400) -> "ModelmillError":
        """The inverse of `as_dict`."""
        return cls(body["code"], body["message"], status=status, limit=body.get("limit"), hint=body.get("hint"))


class Rejected(ModelmillError):
    """The data, recipe or model cannot be used: the run ends with this reason and the file is quarantined."""

    def __init__(self, code: str, message: str, *, limit: Any = None, hint: str | None = None) -> None:
        super().__init__(code, message, status=422, limit=limit, hint=hint)


class NotFound(ModelmillError):
    """The named thing does not exist for this tenant (or belongs to another, which looks the same)."""

    def __init__(self, what: str, name: str, *, hint: str | None = None) -> None:
        super().__init__("not_found", f"no {what} named {name!r}", status=404, hint=hint)


class Conflict(ModelmillError):
    """Somebody else changed it first, or it is in a state that forbids the call."""

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(code, message, status=409, hint=hint)


class Unavailable(ModelmillError):
    """A dependency is down and there is no last good copy: try again after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__("unavailable", message, status=503, hint=f"try again in {retry_after} s")
        self.retry_after = retry_after
