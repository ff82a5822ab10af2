"""One HTTP call: method, path and JSON in, the answer's JSON out, or a ModelmillError with code and hint.

Calls that may be repeated safely are, when the network or the gateway fails (connect errors, 429, 502, 503).
"""

import time
from typing import Any

import httpx

from modelmill.core.errors import ModelmillError

_RETRIED_STATUS = frozenset({429, 502, 503})
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
ATTEMPTS = 4
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 5.0
TIMEOUT = httpx.Timeout(60.0, connect=5.0)


class Transport:
    """The API under `url`, opened with `token`."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        # A local cloud is reached directly whatever proxy the environment names.
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
            transport=transport,
            trust_env=not is_loopback(url),
        )

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        repeat: bool | None = None,
    ) -> dict[str, Any]:
        """The answer's JSON object. `repeat` says that a POST may be sent again; the other methods may anyway."""
        repeat = method in _IDEMPOTENT if repeat is None else repeat
        attempts = ATTEMPTS if repeat else 1
        for attempt in range(1, attempts + 1):
            try:
                response = self._client.request(method, self.url + path, json=json, params=params, headers=headers)
            except httpx.TransportError as error:
                if attempt == attempts or isinstance(error, httpx.ReadTimeout):
                    raise _unreachable(self.url, error) from error
                time.sleep(pause(attempt, None))
                continue
            if response.status_code in _RETRIED_STATUS and attempt < attempts:
                time.sleep(pause(attempt, response.headers.get("Retry-After")))
                continue
            return _answer(response)
        raise AssertionError("the last attempt returns or raises")


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    return httpx.URL(url).host in ("127.0.0.1", "localhost", "::1")


def pause(attempt: int, retry_after: str | None) -> float:
    """Seconds to wait before the next attempt: what the server says, else longer each time."""
    if retry_after and retry_after.isdecimal():
        return min(float(retry_after), _LONGEST_WAIT_SECONDS)
    return min(_FIRST_WAIT_SECONDS * float(2 ** (attempt - 1)), _LONGEST_WAIT_SECONDS)


def _answer(response: httpx.Response) -> dict[str, Any]:
    if response.is_success:
        if not response.content:
            return {}
        try:
            body = response.json()
        except ValueError:
            body = None
        if isinstance(body, dict):
            return body
        raise ModelmillError("bad_answer", f"{response.request.url} did not answer with a JSON object", status=502)
    raise error_of(response)


def error_of(response: httpx.Response) -> ModelmillError:
    """The refusal in an answer, whoever wrote it: our API, or a gateway before it."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict) and "code" in error and "message" in error:
        return ModelmillError.from_dict(error, response.status_code)
    if isinstance(error, str):
        return ModelmillError("refused", error, status=response.status_code)
    message = body.get("message") if isinstance(body, dict) else None
    hint = "is MODELMILL_TOKEN right?" if response.status_code in (401, 403) else None
    text = message or f"HTTP {response.status_code} {response.reason_phrase}"
    return ModelmillError("refused", str(text), status=response.status_code, hint=hint)


def _unreachable(url: str, error: httpx.TransportError) -> ModelmillError:
    hint = "start it with: modelmill up" if is_loopback(url) else "is MODELMILL_URL right?"
    return ModelmillError("unreachable", f"{url} does not answer: {error}", status=503, hint=hint)
