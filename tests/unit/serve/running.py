"""The HTTP side of the server in a thread of this process, and clients that speak in bytes."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import uvloop

from modelmill.serving.server.connection import Connection
from modelmill.serving.server.service import Service

SECONDS = 10


@dataclass
class Running:
    """A server that listens on `port`."""

    service: Service
    port: int
    loop: asyncio.AbstractEventLoop

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of one request."""
        status, _, answer = self.raw(method, path, body, **headers)
        return status, json.loads(answer)

    def raw(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, answer

    def connect(self) -> socket.socket:
        """A connection without anything said."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)

    def talk(self, *parts: bytes) -> list[tuple[int, bytes]]:
        """Send the parts, one packet each, and read until the server closes or nothing more is due."""
        with self.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in parts:
                try:
                    client.sendall(part)
                except OSError:  # refused already
                    break
            client.shutdown(socket.SHUT_WR)
            return responses(client)

    def run(self, action: Callable[[], None]) -> None:
        """Do something on the server's loop, and wait for it."""
        done = threading.Event()
        for step in (action, done.set):
            self.loop.call_soon_threadsafe(step)
        assert done.wait(SECONDS)


class _Stream:
    """What HTTPResponse reads from: a socket's bytes, several responses after one another."""

    def __init__(self, client: socket.socket) -> None:
        self.file = client.makefile("rb")

    def makefile(self, *_: object) -> Any:
        return self.file


def responses(client: socket.socket) -> list[tuple[int, bytes]]:
    """Status and body of every response until the end."""
    stream, found = _Stream(client), list[tuple[int, bytes]]()
    while stream.file.peek(1):
        response = HTTPResponse(stream)  # type: ignore[arg-type]
        # It would close the shared file with the first response that says so.
        response._close_conn = lambda: None  # type: ignore[attr-defined]
        response.begin()
        found.append((response.status, response.read()))
    stream.file.close()
    return found


@contextmanager
def running(service: Service) -> Iterator[Running]:
    """The server, until the block ends."""
    loop, ports, stop = uvloop.new_event_loop(), list[int](), asyncio.Event()

    async def serve() -> None:
        listener: Any = await loop.create_server(lambda: Connection(service, loop.time), "127.0.0.1", 0)
        ports.append(listener.sockets[0].getsockname()[1])
        listening.set()
        while not stop.is_set():
            for connection in list(service.connections):
                connection.expire(loop.time())
            await asyncio.sleep(0.05)
        listener.close()

    listening = threading.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="server")
    thread.start()
    assert listening.wait(SECONDS)
    service.ready = True
    yield Running(service, ports[0], loop)
    loop.call_soon_threadsafe(stop.set)
    thread.join(SECONDS)
    service.close()
    loop.close()
