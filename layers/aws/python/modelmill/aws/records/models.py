"""Registered models: versions by number, one version per package digest, the route and its history, traffic."""

import json
from typing import Any

from modelmill.aws.records import table
from modelmill.aws.records.pipelines import now
from modelmill.core.errors import Conflict
from modelmill.core.serve.route import Route


def register(tenant: str, model: str, digest: str, body: dict[str, Any]) -> tuple[str, bool]:
    """Number of the version that holds this package, and whether it is new.

    Registering a digest again gives its number again. A number is taken by an atomic counter before the digest is
    claimed, so parallel registrations of different packages never share one; a lost race leaves a gap at worst.
    """
    pk = f"{tenant}#model#{model}"
    known = table.get(pk, f"package#{digest}", consistent=True)
    if known:
        # Write the version again: a first attempt may have died between claiming the digest and writing it.
        _write_version(pk, known["version"], digest, model, body)
        return known["version"], False
    counter = table.update(
        f"{tenant}#models",
        model,
        "ADD version_counter :one SET #body = if_not_exists(#body, :body)",
        {":one": {"N": "1"}, ":body": {"S": json.dumps({"name": model, "created": now()})}},
    )
    version = counter["version_counter"]["N"]
    try:
        table.put(pk, f"package#{digest}", {"version": version}, new=True)
    except table.ConditionFailed:
        return register(tenant, model, digest, body)
    _write_version(pk, version, digest, model, body)
    return version, True


def _write_version(pk: str, version: str, digest: str, model: str, body: dict[str, Any]) -> None:
    document = {"model": model, "version": version, "digest": digest, "created": now(), **body}
    try:
        table.put(pk, f"version#{int(version):08}", document, new=True)
    except table.ConditionFailed:
        return


def names(tenant: str, limit: int = 1_000) -> list[dict[str, Any]]:
    """The tenant's models by name, each with its route."""
    return [_model(item) for item in table.query(f"{tenant}#models", limit=limit) if "body" in item]


def get(tenant: str, model: str, *, consistent: bool = False) -> dict[str, Any] | None:
    """A model with its route (or None) and route revision, or None. One read, at half the price if not `consistent`."""
    item = table.get_item(f"{tenant}#models", model, consistent=consistent)
    return None if item is None or "body" not in item else _model(item)


def _model(item: dict[str, Any]) -> dict[str, Any]:
    route = json.loads(item["route"]["S"]) if "route" in item else None
    return table.body_of(item) | {"route": route, "revision": int(item.get("revision", {"N": "0"})["N"])}


def get_version(tenant: str, model: str, version: str) -> dict[str, Any] | None:
    """One version of a model, or None (also for what is not a number)."""
    if not version.isascii() or not version.isdecimal() or len(version) > 8:
        return None
    return table.get(f"{tenant}#model#{model}", f"version#{int(version):08}")


def versions(tenant: str, model: str, limit: int = 1_000) -> list[dict[str, Any]]:
    """The versions of a model, newest first."""
    return [
        table.body_of(item)
        for item in table.query(f"{tenant}#model#{model}", "version#", newest_first=True, limit=limit)
    ]


def set_route(tenant: str, model: str, route: Route, *, revision: int, who: str) -> int:
    """Move the route if it still has `revision` (else raises Conflict) and keep the move in the history."""
    # Before the move: a model without a route in `routed` is looked at in vain, the reverse would never be observed.
    table.put("routed", f"{tenant}#{model}", {"tenant": tenant, "model": model})
    try:
        table.update(
            f"{tenant}#models",
            model,
            "SET route = :route, revision = :next",
            {
                ":route": {"S": json.dumps(route.as_dict())},
                ":next": {"N": str(revision + 1)},
                ":revision": {"N": str(revision)},
                ":none": {"N": "0"},
            },
            condition="attribute_exists(#body) AND (revision = :revision OR "
            "(attribute_not_exists(revision) AND :revision = :none))",
        )
    except table.ConditionFailed:
        raise Conflict(
            "route_moved", f"the route of {model!r} was changed meanwhile", hint="read it and try again"
        ) from None
    history = {"route": route.as_dict(), "revision": revision + 1, "who": who, "when": now()}
    table.put(f"{tenant}#model#{model}", f"route#{revision + 1:08}", history)
    return revision + 1


def route_history(tenant: str, model: str, limit: int = 100) -> list[dict[str, Any]]:
    """Moves of the route, newest first."""
    return [
        table.body_of(item) for item in table.query(f"{tenant}#model#{model}", "route#", newest_first=True, limit=limit)
    ]


def routed() -> list[tuple[str, str]]:
    """(tenant, model) of every model that has ever been routed and is not deleted, for `observe`."""
    return [(body["tenant"], body["model"]) for body in map(table.body_of, table.query("routed"))]


def clear_route(tenant: str, model: str) -> None:
    """Take the route away: the model answers no more."""
    table.update(f"{tenant}#models", model, "REMOVE route", {}, condition="attribute_exists(pk)")


def delete(tenant: str, model: str) -> None:
    """Remove a model's records. Its counters stay, so that no number ever names two different versions."""
    table.delete("routed", f"{tenant}#{model}")
    table.delete(f"{tenant}#traffic", model)
    table.delete_partition(f"{tenant}#model#{model}")
    table.update(f"{tenant}#models", model, "REMOVE #body, route", {}, condition="attribute_exists(pk)")


def delete_version(tenant: str, model: str, version: dict[str, Any]) -> None:
    """Remove the record of one version; its number is not given again."""
    pk = f"{tenant}#model#{model}"
    table.delete(pk, f"package#{version['digest']}")
    table.delete(pk, f"version#{int(version['version']):08}")


def holds_package(tenant: str, model: str, digest: str) -> bool:
    """True if a version of this model is this package."""
    return table.get(f"{tenant}#model#{model}", f"package#{digest}") is not None


def put_traffic(tenant: str, model: str, body: dict[str, Any]) -> None:
    """Record what `observe` measured of a model."""
    table.put(f"{tenant}#traffic", model, body | {"observed": now()})


def get_traffic(tenant: str, model: str) -> dict[str, Any] | None:
    """What `observe` measured last, or None."""
    return table.get(f"{tenant}#traffic", model)
