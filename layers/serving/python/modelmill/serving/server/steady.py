"""Records and models that are renewed in the background: whoever asks for what was known before never waits.

A record that changed takes its place only once the model that it names is loaded, so a new version or a new route
costs no caller anything, and one that cannot be loaded leaves the old one answering.
"""

import time
from collections.abc import Callable
from typing import Any

from modelmill.core.errors import ModelmillError, Unavailable
from modelmill.serving import report
from modelmill.serving.cache import Key
from modelmill.serving.plane import AnyModel, Call, DataPlane, Registry

_UNUSED_SECONDS = 600
_CAPACITY = 1_000


class Steady:
    """Values by key. Unlike `cache.Fresh`, a known value is given at once however old; `refresh` renews all."""

    def __init__(
        self,
        read: Callable[..., Any],
        faults: tuple[type[Exception], ...],
        *,
        ttl: float,  # noqa: ARG002 - who calls refresh knows when
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._faults = faults
        self._clock = clock
        self._values: dict[Key, Any] = {}
        self._used: dict[Key, float] = {}

    def get(self, *key: str) -> Any:
        """The value, read now if it is not known, or None; raises Unavailable if it cannot be read."""
        value = self.peek(*key)
        if value is not None:
            return value
        try:
            value = self._read(*key)
        except self._faults as error:
            raise Unavailable("the registry cannot be read now") from error
        if value is not None:
            self._values[key] = value
            self._used[key] = self._clock()
        return value

    def peek(self, *key: str) -> Any:
        """The value if it is known."""
        value = self._values.get(key)
        if value is not None:
            self._used[key] = self._clock()
        return value

    def refresh(self, prepare: Callable[[Key, Any], None]) -> None:
        """Renew every value: read, `prepare` what changed, put it in place. What nobody asked for long is dropped."""
        oldest = self._clock() - _UNUSED_SECONDS
        kept = sorted(self._values, key=lambda key: self._used.get(key, 0.0), reverse=True)
        for key in kept[_CAPACITY:] + [key for key in kept[:_CAPACITY] if self._used.get(key, 0.0) < oldest]:
            self._values.pop(key, None)
            self._used.pop(key, None)
        for key in list(self._values):
            try:
                value = self._read(*key)
                if value is not None and value != self._values.get(key):
                    prepare(key, value)
            except self._faults:
                continue
            except ModelmillError as error:
                report.refused("refresh", Call(key[0], "-", None, "-", key[1]), error)
                continue
            if value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = value


class SteadyPlane(DataPlane):
    """The data plane of a process that stays."""

    def __init__(self, registry: Registry, budget: int | None = None) -> None:
        super().__init__(registry, budget, keep=Steady)
        self._registry_faults = registry.faults

    def at_hand(self, call: Call) -> AnyModel | None:
        """The model that will answer if nothing must be read or loaded first, else None; the call then names it."""
        try:
            version = call.version or self._known_version(call)
        except ModelmillError:
            return None
        record = self._versions.peek(call.tenant, call.model, version) if version else None
        if record is None:
            return None
        model: AnyModel | None = self._models.peek(call.tenant, record["digest"])
        if model is not None:
            call.found_model, call.found_version, call.digest = call.model, record["version"], record["digest"]
        return model

    def _known_version(self, call: Call) -> str | None:
        known = self._routes.peek(call.tenant, call.model)
        return self._routed(call, call.model) if known else None

    def warm(self, tenant: str, model: str) -> None:
        """Load what the model's route names; raises ModelmillError."""
        record = self._routes.get(tenant, model)
        if record:
            self._prepare_route((tenant, model), record)

    def refresh(self) -> None:
        """Read every known record again and load what it names before it counts."""
        self._versions.refresh(self._prepare_version)
        self._routes.refresh(self._prepare_route)
        self._lists.refresh(lambda _key, _value: None)

    def _prepare_version(self, key: Key, record: Any) -> None:
        self._load(key[0], record["digest"])

    def _prepare_route(self, key: Key, record: Any) -> None:
        for version in (record["route"] or {}).get("weights", {}):
            if known := self._versions.get(*key, version):
                self._load(key[0], known["digest"])

    def _load(self, tenant: str, digest: str) -> None:
        try:
            self._models.get(tenant, digest)
        except self._registry_faults as error:
            raise Unavailable("the model's package cannot be read now") from error
