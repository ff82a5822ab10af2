"""What the local cloud says when it cannot go on."""

from modelmill.core.errors import ModelmillError


class LocalProblem(ModelmillError):
    """The local cloud cannot do it; the message says why and, if there is one, the way out."""

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(code, message, status=503, hint=hint)
