"""Requests of HTTP connections in, responses of the data plane out: who asks, and where its work runs.

What a sub-millisecond model answers from memory runs on the event loop: handing it to a thread would cost more than
the model. Slower models have one thread; whatever must be read or loaded first has a few of its own.
"""

import asyncio
import itertools
import re
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from modelmill.core.errors import Unavailable
from modelmill.core.limits import KIB
from modelmill.serving import api
from modelmill.serving.graph import TensorModel
from modelmill.serving.plane import AnyModel, Call, DataPlane
from modelmill.serving.server.connection import Connection, Deadlines, Incoming
from modelmill.serving.server.keys import Keys
from modelmill.serving.server.steady import SteadyPlane
from modelmill.serving.server.tally import Tally

_FAST_SECONDS = 0.001
_FAST_ROWS_BYTES = 16 * KIB
_FAST_TENSOR_BYTES = 512 * KIB
_WAITING = 512
_KNOWN_URLS = 2_048


class Service:
    """The HTTP side of one process."""

    def __init__(self, plane: SteadyPlane, keys: Keys, invoked: tuple[str, str] | None = None) -> None:
        """`invoked` is the tenant and the model that SageMaker's /invocations asks."""
        self.plane, self.keys, self.tally = plane, keys, Tally()
        self.ready = self.draining = False
        self.connections: set[Connection] = set()
        self.deadlines = Deadlines()
        self._invoked = invoked
        self._slow = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._loading = ThreadPoolExecutor(4, thread_name_prefix="load")
        self._waiting = 0
        self._prefix, self._count = secrets.token_hex(6), itertools.count(1)
        self._urls: dict[tuple[str, bytes], tuple[api.Endpoint, str, str | None]] = {}

    def request_id(self) -> str:
        """A name for a request."""
        return f"{self._prefix}-{next(self._count):x}"

    def handle(self, request: Incoming) -> "api.Response | asyncio.Future[api.Response]":
        """The response, at once or later."""
        started, request_id = time.perf_counter(), self.request_id()
        call = Call("-", "-", None, request.headers.get("x-modelmill-key") or request_id)
        path = request.url.partition(b"?")[0].decode("latin-1").rstrip("/")
        if path in ("/v2/health/ready", "/ping") and not (self.ready and not self.draining):
            return api.refusal(Unavailable("the server is not ready", retry_after=1), path, request_id)
        found: list[api.Endpoint] = []

        def addressed() -> api.Response:
            found.append(self._find(request, call))
            return api.Response(200, b"")

        refused = api.guarded(addressed, call, path, request_id)
        if not found:
            return refused
        job = _Job(self, found[0], call, request, (path, request_id, started))
        return self._dispatch(job)

    def _find(self, request: Incoming, call: Call) -> api.Endpoint:
        """What answers this request; fills in which model the call asks."""
        method = "GET" if request.method == "HEAD" else request.method
        known = self._urls.get((method, request.url))
        if known is None:
            known = self._look_up(method, request.url)
            if len(self._urls) >= _KNOWN_URLS:
                self._urls.clear()
            self._urls[method, request.url] = known
        endpoint, call.model, call.version = known
        if endpoint is _INVOCATIONS and self._invoked:
            call.tenant, call.model = self._invoked
        return endpoint

    def _look_up(self, method: str, url: bytes) -> tuple[api.Endpoint, str, str | None]:
        path = url.partition(b"?")[0].decode("latin-1").rstrip("/")
        if path == "/ping" and method == "GET":
            return _PING, "-", None
        if path == "/invocations" and method == "POST" and self._invoked:
            return _INVOCATIONS, "-", None
        return api.find(path, method)

    def _dispatch(self, job: "_Job") -> "api.Response | asyncio.Future[api.Response]":
        call, endpoint = job.call, job.endpoint
        if not endpoint.public:
            tenant = self.keys.known(job.request.headers.get("authorization", ""))
            if tenant is None:
                return self._later(self._loading, job)
            call.tenant = tenant
        if call.model == "-":
            return job.run()
        model = self.plane.at_hand(call)
        if model is None:
            return self._later(self._loading, job)
        if endpoint.counted and not is_fast(model, len(job.request.body)):
            return self._later(self._slow, job)
        return job.run()

    def _later(self, pool: ThreadPoolExecutor, job: "_Job") -> "api.Response | asyncio.Future[api.Response]":
        if self._waiting >= _WAITING:
            return job.end(api.refusal(Unavailable("too many requests wait", retry_after=1), job.path, job.request_id))
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(pool, job.run)
        future.add_done_callback(self._left)
        return future

    def _left(self, _future: Any) -> None:
        self._waiting -= 1

    def close(self) -> None:
        """Let the threads end."""
        self._slow.shutdown(wait=False)
        self._loading.shutdown(wait=False)


class _Job:
    """One request on its way: it can run on the loop or in a thread."""

    __slots__ = ("call", "endpoint", "path", "request", "request_id", "service", "started")

    def __init__(
        self,
        service: Service,
        endpoint: api.Endpoint,
        call: Call,
        request: Incoming,
        origin: tuple[str, str, float],
    ) -> None:
        self.service, self.endpoint, self.call, self.request = service, endpoint, call, request
        self.path, self.request_id, self.started = origin

    def run(self) -> api.Response:
        """The response; never raises."""
        return self.end(api.guarded(self._answer, self.call, self.path, self.request_id))

    def _answer(self) -> api.Response:
        if not self.endpoint.public and self.call.tenant == "-":
            self.call.tenant = self.service.keys.required(self.request.headers.get("authorization", ""))
        return self.endpoint.run(self.service.plane, self.call, api.Request(self.request.headers, self.request.body))

    def end(self, response: api.Response) -> api.Response:
        """Count it."""
        if self.endpoint.counted:
            self.service.tally.add(self.call, response.status, time.perf_counter() - self.started)
        return response


def is_fast(model: AnyModel, size: int) -> bool:
    """True if answering a body of `size` bytes holds nobody up for more than about a millisecond."""
    limit = _FAST_TENSOR_BYTES if isinstance(model, TensorModel) else _FAST_ROWS_BYTES
    return model.seconds < _FAST_SECONDS and size <= limit


def _invoke(plane: DataPlane, call: Call, request: api.Request) -> api.Response:
    """SageMaker's one path: tensors are inferred, rows predicted."""
    document = api.document_of(request)
    is_tensors = isinstance(document, dict) and "inputs" in document
    return api.infer_document(plane, call, document) if is_tensors else api.predict_document(plane, call, document)


_NOTHING = re.compile("")
_PING = api.Endpoint(_NOTHING, "GET", lambda *_: api.Response(200, b"{}"), public=True)
_INVOCATIONS = api.Endpoint(_NOTHING, "POST", _invoke, counted=True, public=True)
