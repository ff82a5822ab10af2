"""Models: registered versions, and the route that decides which of them answers; removal of a model."""

from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import RedirectResponse
from pydantic import Field

from control_api.body import Body
from control_api.caller import CallerDep
from modelmill.aws import objects, removal
from modelmill.aws.records import models
from modelmill.aws.settings import settings
from modelmill.core.errors import Conflict, ModelmillError, NotFound
from modelmill.core.model.registration import READY
from modelmill.core.names import REPORT, check_name, run_prefix
from modelmill.core.serve.route import Route

router = APIRouter(tags=["models"])
MAX_REVISION = 10**15
"""Above any revision that a route reaches, and below what DynamoDB or a reader of JSON would round."""


class NewRoute(Body):
    """Shares of the traffic per version, summing to 1; a version that shadows them; the revision that it replaces."""

    weights: dict[str, float] = Field(min_length=1, max_length=100)
    shadow: str | None = Field(None, min_length=1)
    revision: int | None = Field(None, ge=0, lt=MAX_REVISION)


@router.get("/models")
def list_models(caller: CallerDep) -> dict[str, Any]:
    """The models by name, each with its route."""
    return {"models": models.names(caller.tenant)}


@router.get("/models/{model}")
def get_model(model: str, caller: CallerDep) -> dict[str, Any]:
    """A model: its route, how many versions it has, and the traffic that was last observed."""
    found = _found(caller.tenant, model)
    versions = models.versions(caller.tenant, found["name"])
    return found | {
        "versions": len(versions),
        "latest": versions[0]["version"] if versions else None,
        "traffic": models.get_traffic(caller.tenant, found["name"]),
    }


@router.delete("/models/{model}")
def delete_model(model: str, caller: CallerDep, force: bool = False) -> dict[str, Any]:
    """Remove the model's versions and packages for good; with `force` also while it has a route."""
    found = _found(caller.tenant, model)
    if found["route"] and not force:
        hint = "add ?force=true, or --force on the command line"
        raise Conflict("model_routed", f"{model!r} has a route: it answers requests", hint=hint)
    removal.remove_model(caller.tenant, found["name"], caller.key_name)
    return {"deleted": found["name"]}


@router.get("/models/{model}/versions")
def list_versions(model: str, caller: CallerDep) -> dict[str, Any]:
    """The versions of a model, newest first."""
    found = _found(caller.tenant, model)
    return {"versions": models.versions(caller.tenant, found["name"])}


@router.get("/models/{model}/versions/{version}")
def get_version(model: str, version: str, caller: CallerDep) -> dict[str, Any]:
    """A version: digest, metrics, where it came from, and a link to its report."""
    found = _found_version(caller.tenant, check_name("model", model), version)
    return found | {"links": {"report": _report(caller.tenant, found)}}


@router.get("/models/{model}/versions/{version}/report", status_code=307, response_class=RedirectResponse)
def get_report(model: str, version: str, caller: CallerDep) -> str:
    """The version's report, a page of HTML: a redirect to where it lies in S3."""
    return _report(caller.tenant, _found_version(caller.tenant, check_name("model", model), version))


@router.delete("/models/{model}/versions/{version}")
def delete_version(model: str, version: str, caller: CallerDep) -> dict[str, Any]:
    """Remove a version and its package for good, unless the route leads to it."""
    found = _found(caller.tenant, model)
    document = _found_version(caller.tenant, found["name"], version)
    route = found["route"] or {"weights": {}, "shadow": None}
    if document["version"] in {*route["weights"], route["shadow"]}:
        raise Conflict(
            "version_routed", f"the route of {model!r} leads to version {version}", hint="move the route first"
        )
    removal.remove_model_version(caller.tenant, found["name"], document, caller.key_name)
    return {"deleted": document["version"]}


def _report(tenant: str, version: dict[str, Any]) -> str:
    return objects.presigned_get(settings().models_bucket, run_prefix(tenant, version["run_id"]) + REPORT)


def _found_version(tenant: str, model: str, version: str) -> dict[str, Any]:
    found = models.get_version(tenant, model, version)
    if found is None:
        raise NotFound("version", version[:80])
    return found


@router.get("/models/{model}/route")
def get_route(model: str, caller: CallerDep) -> dict[str, Any]:
    """The route with its revision, and how it came to be, newest first. No weights: nothing answers."""
    found = _found(caller.tenant, model)
    return _route(found) | {"history": models.route_history(caller.tenant, found["name"])}


@router.put("/models/{model}/route")
def put_route(
    model: str, body: NewRoute, caller: CallerDep, if_match: Annotated[str | None, Header()] = None
) -> dict[str, Any]:
    """Move the route. `revision` (or If-Match) says which route is replaced; if it is another by now: 409."""
    found = _found(caller.tenant, model)
    ready = {each["version"] for each in models.versions(caller.tenant, found["name"]) if each["status"] == READY}
    route = Route(body.weights, body.shadow).check(ready)
    revision = _expected(if_match, body.revision)
    models.set_route(
        caller.tenant,
        found["name"],
        route,
        revision=found["revision"] if revision is None else revision,
        who=f"key {caller.key_name}",
    )
    return _route(_found(caller.tenant, model))


def _expected(if_match: str | None, revision: int | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return revision
    digits = if_match.strip().strip('"')
    if not digits.isascii() or not digits.isdecimal() or len(digits) >= len(str(MAX_REVISION)):
        raise ModelmillError("bad_request", "If-Match: not a revision of a route", hint='for example If-Match: "3"')
    return int(digits)


def _route(found: dict[str, Any]) -> dict[str, Any]:
    route = found["route"] or {"weights": {}, "shadow": None}
    return {"model": found["name"], "revision": found["revision"], **route}


def _found(tenant: str, model: str) -> dict[str, Any]:
    found = models.get(tenant, check_name("model", model), consistent=True)
    if found is None:
        raise NotFound("model", model)
    return found
