"""Datasets and their immutable versions."""

from typing import Any

from modelmill.aws.records import table
from modelmill.aws.records.pipelines import now
from modelmill.core.data.version import DatasetVersion, with_sources

SOURCES = 20
"""Sources that a record holds, of which an item has no room for thousands; version.json has all of them."""


def add_version(tenant: str, version: DatasetVersion) -> bool:
    """Record a version and make it the dataset's latest; False if this version is known already."""
    document = version.model_dump(mode="json") | {"source_count": len(version.sources), "created": now()}
    document["sources"] = document["sources"][:SOURCES]
    try:
        table.put(f"{tenant}#dataset#{version.dataset}", version.version, document, new=True)
        added = True
    except table.ConditionFailed:
        added = False
    table.put(
        f"{tenant}#datasets", version.dataset, {"name": version.dataset, "latest": version.version, "updated": now()}
    )
    return added


def names(tenant: str, limit: int = 1_000) -> list[dict[str, Any]]:
    """The tenant's datasets by name."""
    return [table.body_of(item) for item in table.query(f"{tenant}#datasets", limit=limit)]


def get(tenant: str, dataset: str) -> dict[str, Any] | None:
    """A dataset's `name`, `latest` version and `updated`, or None."""
    return table.get(f"{tenant}#datasets", dataset)


def versions(tenant: str, dataset: str, limit: int = 1_000) -> list[dict[str, Any]]:
    """The versions of a dataset, newest first."""
    items = table.query(f"{tenant}#dataset#{dataset}", limit=limit)
    found = [with_sources(table.body_of(item)) for item in items]
    return sorted(found, key=lambda each: str(each["created"]), reverse=True)


def get_version(tenant: str, dataset: str, version: str) -> dict[str, Any] | None:
    """One version, or None."""
    found = table.get(f"{tenant}#dataset#{dataset}", version)
    return None if found is None else with_sources(found)


def delete_version(tenant: str, dataset: str, version: str) -> None:
    """Remove a version's record. The newest of the others becomes the latest; without others the dataset goes."""
    table.delete(f"{tenant}#dataset#{dataset}", version)
    left = versions(tenant, dataset)
    if not left:
        table.delete(f"{tenant}#datasets", dataset)
        return
    table.put(f"{tenant}#datasets", dataset, {"name": dataset, "latest": left[0]["version"], "updated": now()})


def delete(tenant: str, dataset: str) -> None:
    """Remove a dataset's records, the dataset itself last, so that a crash half-way can be repeated."""
    table.delete_partition(f"{tenant}#dataset#{dataset}")
    table.delete(f"{tenant}#datasets", dataset)
