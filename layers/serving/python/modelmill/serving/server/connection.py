"""One HTTP/1.1 connection: bytes in, requests to the service in order, its responses out as bytes.

httptools (the parser of Node.js) reads the syntax and refuses what is ambiguous; limits and deadlines are here. A
request that cannot be read is answered with a 4xx, after which the connection ends.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol, cast

import httptools

from modelmill.core.errors import ModelmillError
from modelmill.core.limits import KIB, MIB
from modelmill.serving.api import Response, refusal

HEAD_BYTES = 32 * KIB
URL_BYTES = 8 * KIB
BODY_BYTES = 64 * MIB
QUIET_SECONDS = 1.0
_KEPT = frozenset(
    b"authorization content-encoding content-length content-type expect inference-header-content-length "
    b"x-modelmill-key".split()
)
_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


@dataclass(slots=True)
class Incoming:
    """A request as it was read; `refused` instead of a body if it could not be."""

    method: str = ""
    url: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    keep_alive: bool = True
    refused: ModelmillError | None = None


@dataclass(slots=True)
class Deadlines:
    """Seconds: to send a request whole, to read an answer, to stay silent between requests."""

    read: float = 30.0
    idle: float = 75.0


class Service(Protocol):
    """What answers: at once, or later by a future that never raises."""

    draining: bool
    connections: set["Connection"]
    deadlines: Deadlines

    def handle(self, request: Incoming) -> "Response | asyncio.Future[Response]":
        """The response."""


class Connection(asyncio.Protocol):
    """A connection's state: a parser, the requests that wait, and until when something must happen."""

    def __init__(self, service: Service, clock: Callable[[], float]) -> None:
        self._service = service
        self._clock = clock
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._request = Incoming()
        self._parts: list[bytes] = []
        self._size = self._head = 0
        self._reading_head = True
        self._waiting: deque[Incoming] = deque()
        self._busy = self._full = self._deaf = self._paused = self._ended = False
        self.deadline = self._quiet_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's looks like one and is none
        self._service.connections.add(self)
        self._quiet_since = self._clock()
        self.deadline = self._quiet_since + self._service.deadlines.read

    def connection_lost(self, _error: Exception | None) -> None:
        """The client is gone; an answer under way goes nowhere."""
        self._service.connections.discard(self)
        self._waiting.clear()
        self._transport = None

    @property
    def is_idle(self) -> bool:
        """True if no request is being read or answered."""
        return not (self._busy or self._waiting or self._head)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; nothing that was sent can raise here."""
        if self._deaf:
            return
        if not self._head:
            self.deadline = self._clock() + self._service.deadlines.read
        if self._reading_head:
            self._head += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # refused when its head was read
        except httptools.HttpParserError as error:
            self._refuse(ModelmillError("bad_request", f"this is not HTTP/1.1: {str(error)[:80]}"))
        if self._reading_head and self._head > HEAD_BYTES + len(data):
            self._refuse(too_large("header fields", HEAD_BYTES, 431))
        self._pump()

    def eof_received(self) -> bool:
        """The client has said all; the connection stays open for the answers to what it asked."""
        self._deaf = self._ended = True
        return self._busy or bool(self._waiting)

    # What the parser calls, in this order.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._request, self._parts, self._size, self._reading_head = Incoming(), [], 0, True
        self._head = max(self._head, 1)

    def on_url(self, url: bytes) -> None:
        """The request's target, maybe in parts."""
        self._request.url += url
        if len(self._request.url) > URL_BYTES:
            self._refuse(too_large("URL", URL_BYTES, 414))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field. Those that nobody reads are counted only."""
        if not self._reading_head:  # a trailer, which nobody reads
            return
        self._size += len(name) + len(value) + 4
        if self._size > HEAD_BYTES:
            self._refuse(too_large("header fields", HEAD_BYTES, 431))
        lower = name.lower()
        if lower in _KEPT:
            self._request.headers[lower.decode("ascii")] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The body comes next; a declared length over the limit is refused before it does."""
        self._reading_head, self._size = False, 0
        request = self._request
        request.method = self._parser.get_method().decode("latin-1")
        if self._parser.should_upgrade():
            self._refuse(ModelmillError("bad_request", "this connection cannot be upgraded", hint="use HTTP/1.1"))
        elif int(request.headers.get("content-length", "0")) > BODY_BYTES:
            self._refuse(too_large("body", BODY_BYTES, 413))
        elif request.headers.get("expect", "").lower() == "100-continue" and self._transport and not self._busy:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._size += len(body)
        if self._size > BODY_BYTES:
            self._parts.clear()
            self._refuse(too_large("body", BODY_BYTES, 413))
        elif not self._deaf:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """The request is whole: it waits for its turn."""
        if self._deaf:
            return
        request, parts = self._request, self._parts
        request.body = parts[0] if len(parts) == 1 else b"".join(parts)
        request.keep_alive = self._parser.should_keep_alive()
        self._waiting.append(request)
        self._head, self._reading_head, self._parts = 0, True, []
        if not request.keep_alive:
            self._deaf = True

    # Answers.

    def _refuse(self, error: ModelmillError) -> None:
        """Put a refusal behind what waits; what comes after it is not read any more."""
        if not self._deaf:
            self._deaf, self._head, self._reading_head = True, 0, False
            url = self._request.url[:URL_BYTES]
            self._waiting.append(Incoming(self._request.method, url, keep_alive=False, refused=error))

    def _pump(self) -> None:
        """Answer what waits, one after the other, as long as the client reads."""
        while self._waiting and not self._busy and not self._full and self._transport:
            request = self._waiting.popleft()
            if request.refused:
                answer: Response | asyncio.Future[Response] = refusal(
                    request.refused, request.url.decode("latin-1"), "-"
                )
            else:
                answer = self._service.handle(request)
            if isinstance(answer, Response):
                self._send(request, answer)
            else:
                self._busy = True
                answer.add_done_callback(lambda done, request=request: self._finish(request, done.result()))  # type: ignore[misc]
        if self._paused != (self._busy or self._full) and self._transport and not self._transport.is_closing():
            self._paused = not self._paused
            (self._transport.pause_reading if self._paused else self._transport.resume_reading)()

    def _finish(self, request: Incoming, response: Response) -> None:
        self._busy = False
        if self._transport:
            self._send(request, response)
            self._pump()

    def _send(self, request: Incoming, response: Response) -> None:
        assert self._transport  # noqa: S101 - both callers know
        last = not request.keep_alive or self._service.draining or (self._ended and not self._waiting)
        head = (
            f"{_LINES[response.status]}content-type: {response.media_type}\r\ncontent-length: {len(response.body)}\r\n"
        )
        for name, value in response.headers.items():
            head += f"{name}: {value}\r\n"
        head += "connection: close\r\n\r\n" if last else "\r\n"
        body = b"" if request.method == "HEAD" else response.body
        self._transport.write(head.encode("latin-1") + body)
        deadlines, self._quiet_since = self._service.deadlines, self._clock()
        self.deadline = self._quiet_since + (deadlines.read if last or self._waiting else deadlines.idle)
        if last:
            self._end(lingering=request.refused is not None)

    def _end(self, *, lingering: bool) -> None:
        """Close. After a refusal the client may be sending still, and a close at once would take the answer from it."""
        assert self._transport  # noqa: S101
        self._deaf = True
        self._waiting.clear()
        if lingering and self._transport.can_write_eof():
            self.deadline = self._clock() + 2
            self._transport.write_eof()
        else:
            self._transport.close()

    def pause_writing(self) -> None:
        """The client does not read: take nothing more from it."""
        self._full = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._full = False
        self._pump()

    def expire(self, now: float) -> None:
        """End what is over its deadline; a request that is being answered has none."""
        if not self._transport or self._busy or now < self.deadline:
            return
        if self._head and not self._deaf:
            error = ModelmillError("timeout", "the request did not come whole in time", status=408)
            self._refuse(error)
            self._pump()
        else:
            self._transport.abort() if self._full else self._transport.close()

    def close_if_quiet(self, now: float) -> None:
        """Close if nothing was asked for a moment: while draining, a client in full swing gets one more answer.

        That answer tells it to close; closing under its next request would be a reset that it cannot understand.
        """
        if self.is_idle and self._transport and now - self._quiet_since > QUIET_SECONDS:
            self._transport.close()


def too_large(what: str, limit: int, status: int) -> ModelmillError:
    """The refusal of a part of a request that is over its limit."""
    return ModelmillError("too_large", f"the {what} is too large", status=status, limit=limit)
