"""The data plane: who asks which model for what in, answers out. Every wire (API Gateway, HTTP, gRPC) translates to it.

The route says which version answers; route and version records are read again after ROUTE_TTL_SECONDS and stand
while DynamoDB fails. When the version that the route names cannot be read, the one that answered last answers.
The route's shadow version is not run here.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from modelmill.core.errors import Conflict, ModelmillError, NotFound, Rejected, Unavailable
from modelmill.core.limits import MIB, NAME_CHARACTERS, ROUTE_TTL_SECONDS
from modelmill.core.names import check_name
from modelmill.core.serve.route import Route
from modelmill.serving import instances, tensors
from modelmill.serving.cache import Fresh, Loaded
from modelmill.serving.model import Model

_DEFAULT_MEMORY_MIB = 2_048


@dataclass(slots=True)
class Call:
    """Who asks: `version` None follows the route, `key` is what a caller sticks to. What was found is filled in."""

    tenant: str
    model: str
    version: str | None
    key: str
    found_model: str = "-"
    found_version: str = "-"
    digest: str | None = None
    predictions: int = 0


class AnyModel(Protocol):
    """A loaded model: of raw rows (`model.Model`) or of tensors (`graph.TensorModel`)."""

    size: int
    seconds: float
    signature: dict[str, Any]

    def infer(self, request: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
        """The outputs that an infer request asks for, and its rows."""


class Registry(Protocol):
    """Where models are: records by tenant and name, packages by digest. `faults` are raised while it is down."""

    faults: tuple[type[Exception], ...]

    def route(self, tenant: str, model: str) -> dict[str, Any] | None:
        """`{"route": Route.as_dict() | None}`, or None for an unknown model."""

    def version(self, tenant: str, model: str, version: str) -> dict[str, Any] | None:
        """`{"version", "digest"}`, or None."""

    def versions(self, tenant: str, model: str) -> list[dict[str, Any]]:
        """The same of all versions."""

    def load(self, tenant: str, digest: str, max_bytes: int) -> AnyModel:
        """The model of the verified package."""


class DataPlane:
    """Predict, infer and describe, over the models of this process."""

    def __init__(self, registry: Registry, budget: int | None = None, keep: Callable[..., Any] = Fresh) -> None:
        """`budget` is how many bytes of model files are held; `keep` makes the caches of records."""
        most = budget or model_bytes()
        self._routes = keep(registry.route, registry.faults, ttl=ROUTE_TTL_SECONDS)
        self._versions = keep(registry.version, registry.faults, ttl=ROUTE_TTL_SECONDS)
        self._lists = keep(registry.versions, registry.faults, ttl=ROUTE_TTL_SECONDS)
        self._models = Loaded(lambda tenant, digest: registry.load(tenant, digest, most), most, rest=ROUTE_TTL_SECONDS)
        self._faults = registry.faults
        self._answered: dict[tuple[str, str], tuple[str, str]] = {}

    def predict(self, call: Call, body: object) -> dict[str, Any]:
        """`{"predictions": [{"label", "score", "scores"}], "model", "version"}` for `{"instances": [{…}]}`."""
        digest = self._resolve(call)
        rows = instances.check_instances(body)
        model = self._model(call, digest)
        if not isinstance(model, Model):
            raise ModelmillError(
                "takes_tensors", "this model takes tensors", hint=f"POST /v2/models/{call.found_model}/infer"
            )
        columns = instances.columns_of(rows, model.fields, is_text=model.is_text)
        scores = model.scores(columns)
        call.predictions = len(rows)
        return {
            "predictions": model.answers.predictions(scores),
            "model": call.found_model,
            "version": call.found_version,
        }

    def infer(self, call: Call, body: object) -> dict[str, Any]:
        """The Open Inference Protocol's answer to an infer request; `data` is an array, or a list of texts."""
        digest = self._resolve(call)
        request = tensors.check_request(body)
        outputs, call.predictions = self._model(call, digest).infer(request)
        identity = {"id": request["id"]} if "id" in request else {}
        return {"model_name": call.found_model, "model_version": call.found_version, **identity, "outputs": outputs}

    def describe(self, call: Call) -> dict[str, Any]:
        """The Open Inference Protocol's model metadata; loads the model, since its signature is in its package."""
        model = self._model(call, self._resolve(call))
        known = self._lists.get(call.tenant, call.found_model) or []
        return {
            "name": call.found_model,
            "versions": sorted((record["version"] for record in known), key=int),
            "platform": "onnxruntime_onnxv1",
            "inputs": model.signature["inputs"],
            "outputs": model.signature["outputs"],
        }

    def ready(self, call: Call) -> dict[str, Any]:
        """`{"name", "ready": true}` once the model has made a prediction; raises what keeps it from that."""
        self._model(call, self._resolve(call))
        return {"name": call.found_model, "ready": True}

    def _resolve(self, call: Call) -> str:
        """Digest of the version that shall answer; raises NotFound, Conflict (`no_route`) or Unavailable."""
        if call.digest is not None:
            return call.digest
        try:
            name = check_name("model", call.model)
        except Rejected as error:
            raise NotFound("model", call.model[:NAME_CHARACTERS], hint=error.hint) from None
        version = call.version or self._routed(call, name)
        try:
            record = self._versions.get(call.tenant, name, version)
        except Unavailable:
            call.found_model = name if call.version is None else call.found_model
            return self._last_good(call)
        if record is None:
            if self._routes.get(call.tenant, name) is None:
                raise _no_model(name)
            call.found_model = name
            raise NotFound("version", version[:20], hint=f"GET /v1/models/{name} lists the versions")
        call.found_model, call.found_version = name, record["version"]
        digest: str = record["digest"]
        return digest

    def _routed(self, call: Call, name: str) -> str:
        record = self._routes.get(call.tenant, name)
        if record is None:
            raise _no_model(name)
        call.found_model = name
        if record["route"] is None:
            raise Conflict(
                "no_route",
                f"the model {name!r} has no route",
                hint=f"send traffic to a version with: modelmill route {name} --set 1=1",
            )
        return Route.from_dict(record["route"]).choose(call.key)

    def _model(self, call: Call, digest: str) -> AnyModel:
        """The loaded model of a digest or, while S3 is down, the one that answered for this model last."""
        try:
            model = self._models.get(call.tenant, digest)
        except self._faults as error:
            last = self._models.peek(call.tenant, self._last_good(call, error))
            if last is None:
                raise Unavailable("the model's package cannot be read now") from error
            return last
        if call.version is None:
            self._answered[call.tenant, call.found_model] = call.found_version, digest
        return model

    def _last_good(self, call: Call, error: Exception | None = None) -> str:
        """Digest of the version that answered last, for a call that follows the route."""
        last = self._answered.get((call.tenant, call.found_model)) if call.version is None else None
        if last is None:
            raise Unavailable("the model cannot be read now") from error
        call.found_version, digest = last
        return digest


def model_bytes() -> int:
    """Bytes of model files that this process holds: a session takes about twice its file, all sessions half of all."""
    memory = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", _DEFAULT_MEMORY_MIB)) * MIB
    return memory // 4


def _no_model(name: str) -> NotFound:
    return NotFound("model", name, hint="GET /v1/models lists the models")
