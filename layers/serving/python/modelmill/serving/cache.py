"""Two caches of the hot path: values that are read again after a while, and models that are loaded once.

Both are bounded, safe for threads, and know nothing of what they hold.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Generic, Protocol, TypeVar

from modelmill.core.errors import Unavailable

V = TypeVar("V")
Key = tuple[str, ...]


class Fresh(Generic[V]):
    """Values by key, read again when `ttl` seconds old. While reading fails or is slow, the last good value stands.

    `read` gives None for what does not exist, which is not kept. `faults` are the errors of a source that is down;
    `patience` is how many seconds a caller waits for a reading when there is a last good value.
    """

    def __init__(
        self,
        read: Callable[..., V | None],
        faults: tuple[type[Exception], ...],
        *,
        ttl: float,
        patience: float = 1.0,
        capacity: int = 1_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._faults: tuple[type[Exception], ...] = (TimeoutError, *faults)
        self._ttl = ttl
        self._patience = patience
        self._capacity = capacity
        self._clock = clock
        self._lock = Lock()
        self._values: OrderedDict[Key, tuple[float, V]] = OrderedDict()
        self._readers = ThreadPoolExecutor(4, thread_name_prefix="fresh")

    def get(self, *key: str) -> V | None:
        """The value, or None if there is none; raises Unavailable if it was never read and cannot be now."""
        known = self._values.get(key)
        if known and self._clock() < known[0]:
            return known[1]
        reading = self._readers.submit(self._read, *key)
        try:
            value = reading.result(self._patience if known else None)
        except self._faults as error:
            if not known:
                raise Unavailable("the registry cannot be read now") from error
            value = known[1]
        self._keep(key, value)
        return value

    def _keep(self, key: Key, value: V | None) -> None:
        with self._lock:
            self._values.pop(key, None)
            if value is not None:
                self._values[key] = (self._clock() + self._ttl, value)
            if len(self._values) > self._capacity:
                self._values.popitem(last=False)


class Sized(Protocol):
    """Anything that knows its size in bytes."""

    size: int


S = TypeVar("S", bound=Sized)


class Loaded(Generic[S]):
    """Values by key, loaded once however many callers ask at once, and at most `budget` bytes of them.

    The least recently used go first; the newest stays even if it alone is over the budget (the loader refuses what
    is too large). A failed load is told to every waiting caller and, for `rest` seconds, to whoever asks again: what
    cannot be loaded must not be downloaded at every request.
    """

    def __init__(
        self, load: Callable[..., S], budget: int, *, rest: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._load = load
        self._budget = budget
        self._rest = rest
        self._clock = clock
        self._lock = Lock()
        self._values: OrderedDict[Key, S] = OrderedDict()
        self._loading: dict[Key, Future[S]] = {}
        self._failed: dict[Key, tuple[float, BaseException]] = {}

    def get(self, *key: str) -> S:
        """The value, loaded now if need be; raises what the loader raises."""
        with self._lock:
            if (value := self._held(key)) is not None:
                return value
            self._raise_recent(key)
            loading = self._loading.get(key)
            mine = self._loading.setdefault(key, Future())
        if loading is not None:
            return loading.result()
        try:
            value = self._load(*key)
        # Whatever ends the loading ends the waiting of the others too; it is raised again.
        except BaseException as error:
            with self._lock:
                del self._loading[key]
                self._failed[key] = (self._clock() + self._rest, error)
            mine.set_exception(error)
            raise
        with self._lock:
            del self._loading[key]
            self._insert(key, value)
        mine.set_result(value)
        return value

    def _raise_recent(self, key: Key) -> None:
        now = self._clock()
        self._failed = {key: failure for key, failure in self._failed.items() if now < failure[0]}
        if key in self._failed:
            raise self._failed[key][1].with_traceback(None)

    def peek(self, *key: str) -> S | None:
        """The value if it is loaded."""
        with self._lock:
            return self._held(key)

    def _held(self, key: Key) -> S | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def _insert(self, key: Key, value: S) -> None:
        self._values[key] = value
        held = sum(held.size for held in self._values.values())
        while held > self._budget and len(self._values) > 1:
            held -= self._values.popitem(last=False)[1].size
