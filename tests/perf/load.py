"""Load on a server: one request, sent over and over by a number of connections; how many were answered comes out."""

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Any

import grpc
import uvloop


@dataclass(frozen=True)
class Shot:
    """A request as bytes and over how many connections (HTTP) or in how many calls at once (gRPC) it is sent."""

    name: str
    data: bytes
    connections: int
    rpc: bool = False


class _Client(asyncio.Protocol):
    """Sends the request again whenever an answer is whole."""

    def __init__(self, data: bytes) -> None:
        self.data, self.count, self.got, self.length = data, 0, b"", 0
        self.stopped = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.data)

    def data_received(self, data: bytes) -> None:
        self.got = self.got + data if self.got else data
        if not self.length:
            head, found, _ = self.got.partition(b"\r\n\r\n")
            if not found:
                return
            if not self.got.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(self.got[:300])
            size = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            self.length = len(head) + 4 + int(size[15:])
        if len(self.got) >= self.length:
            self.count, self.got, self.length = self.count + 1, b"", 0
            if not self.stopped:
                self.transport.write(self.data)


def http(port: int, shot: Shot, seconds: float) -> int:
    """Answers in about `seconds`."""

    async def run() -> int:
        clients = [_Client(shot.data) for _ in range(shot.connections)]
        loop = asyncio.get_running_loop()
        for client in clients:
            await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
        await asyncio.sleep(seconds)
        for client in clients:
            client.stopped = True
        await asyncio.sleep(0.05)
        return sum(client.count for client in clients)

    count: int = uvloop.run(run())
    return count


def rpc(port: int, shot: Shot, seconds: float) -> int:
    """The same with calls of gRPC on one channel."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        call(shot.data)
        free, count, end = threading.Semaphore(shot.connections), 0, time.monotonic() + seconds
        while time.monotonic() < end:
            free.acquire()
            call.future(shot.data).add_done_callback(lambda _done: free.release())
            count += 1
        for _ in range(shot.connections):
            free.acquire()
        return count + 1
