"""One server process from start to end: listen, load, be ready, renew, drain."""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import uvloop

from modelmill.core.errors import ModelmillError
from modelmill.core.limits import ROUTE_TTL_SECONDS
from modelmill.serving import report
from modelmill.serving.plane import Call, Registry
from modelmill.serving.server.connection import Connection
from modelmill.serving.server.folders import FolderRegistry
from modelmill.serving.server.keys import Keys
from modelmill.serving.server.options import Options
from modelmill.serving.server.service import Service
from modelmill.serving.server.steady import SteadyPlane

_SWEEP_SECONDS = 0.5
_FLUSH_SECONDS = 10
_BACKLOG = 1_024


def run(options: Options) -> int:
    """Serve until SIGTERM or SIGINT; the process's exit status."""
    status: int = uvloop.run(Process(options).serve())
    return status


class Process:
    """What lives as long as the process."""

    def __init__(self, options: Options) -> None:
        self._options = options
        registry, keys = _sources(options)
        self.plane = SteadyPlane(registry, _model_bytes())
        self.service = Service(self.plane, keys, (options.tenant, options.invoked) if options.invoked else None)
        self._names = options.preload or (registry.names() if isinstance(registry, FolderRegistry) else ())
        self._stopping = asyncio.Event()

    async def serve(self) -> int:
        """Listen, load, be ready, stay until told to stop, drain."""
        # gRPC's import is a third of the start: it happens once HTTP listens, so that liveness is seen early.
        loop, options = asyncio.get_running_loop(), self._options
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        listener = await loop.create_server(
            lambda: Connection(self.service, loop.time),
            options.host,
            options.port,
            backlog=_BACKLOG,
            reuse_port=options.workers > 1 or None,
        )
        port = listener.sockets[0].getsockname()[1]
        loading = loop.run_in_executor(None, self._load)
        from modelmill.serving.server.rpc import Rpc

        host = f"[{options.host}]" if ":" in options.host else options.host
        rpc = Rpc(self.service, f"{host}:{options.grpc_port}", shared=options.workers > 1)
        await loading
        self.service.ready = True
        rpc.set_ready(ready=True)
        _say("ready", host=options.host, port=port, grpc_port=rpc.port, models=list(self._names), pid=os.getpid())
        tasks = [asyncio.create_task(work) for work in (self._sweep(), self._renew(), self._flush())]
        await self._stopping.wait()
        self.service.draining = True
        rpc.set_ready(ready=False)
        listener.close()
        stopped = loop.run_in_executor(None, rpc.stop, options.drain_seconds)
        await self._drain()
        await stopped
        for task in tasks:
            task.cancel()
        self.service.tally.flush()
        self.service.close()
        _say("stopped", pid=os.getpid())
        return 0

    def _load(self) -> None:
        """Load what shall be there before ready. A model that cannot be loaded keeps none of the others away."""
        for name in self._names:
            try:
                self.plane.warm(self._options.tenant, name)
            except ModelmillError as error:
                report.refused("start", Call(self._options.tenant, name, None, "-", name), error)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = loop.time()
            for connection in list(self.service.connections):
                connection.expire(now)

    async def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(ROUTE_TTL_SECONDS * 0.8)
            await loop.run_in_executor(None, self._refresh)

    def _refresh(self) -> None:
        try:
            self.plane.refresh()
        # The last boundary of the renewing thread: what it raises must not end the renewing.
        except Exception as error:  # noqa: BLE001
            report.failed("refresh", Call("-", "-", None, "-"), error)

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            self.service.tally.flush()

    async def _drain(self) -> None:
        """Wait until every connection has its answers, but not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.drain_seconds):
                while self.service.connections:
                    for connection in list(self.service.connections):
                        connection.close_if_quiet(asyncio.get_running_loop().time())
                    await asyncio.sleep(0.02)


def _sources(options: Options) -> tuple[Registry, Keys]:
    """The registry and the keys; AWS is imported only where it is served."""
    if options.folder:
        return FolderRegistry(options.folder), Keys(None)
    from modelmill.aws.records import keys
    from modelmill.serving.registry import AwsRegistry

    return AwsRegistry(), Keys(keys.find)


def _model_bytes() -> int:
    """Model files of a quarter of the memory: a session takes about twice its file, all sessions half of all."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        memory = min(memory, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return memory // 4


def _say(event: str, **more: object) -> None:
    sys.stdout.write(json.dumps({"level": "INFO", "event": event, **more}) + "\n")
    sys.stdout.flush()
