"""Bodies of requests: parsed JSON in, the fields that are known, as real Unicode text, out."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from modelmill.core.errors import ModelmillError


class Body(BaseModel):
    """A request's body: unknown fields are refused, so that a misspelt one is not ignored."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _is_text(cls, data: Any) -> Any:
        """JSON can escape half a surrogate pair, which no key, record or answer can hold.

        Raises ModelmillError (415) for bytes: what FastAPI makes of a body whose Content-Type does not say JSON.
        """
        if isinstance(data, bytes):
            hint = "send the header Content-Type: application/json"
            raise ModelmillError("unsupported_media_type", "the body is not marked as JSON", status=415, hint=hint)
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("a text has half of a surrogate pair in it") from None
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        return data
