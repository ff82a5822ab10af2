"""Datasets and their immutable versions."""

from typing import Any

from modelmill.aws.records import table
from modelmill.aws.records.pipelines import now
from modelmill.core.data.version import DatasetVersion


def add_version(tenant: str, version: DatasetVersion) -> bool:
    """Record a version and make it the dataset's latest; False if this version is known already."""
    try:
        table.put(
            f"{tenant}#dataset#{version.dataset}",
            version.version,
            version.model_dump(mode="json") | {"created": now()},
            new=True,
        )
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
    """The versions of a dataset."""
    return [table.body_of(item) for item in table.query(f"{tenant}#dataset#{dataset}", limit=limit)]


def get_version(tenant: str, dataset: str, version: str) -> dict[str, Any] | None:
    """One version, or None."""
    return table.get(f"{tenant}#dataset#{dataset}", version)


def delete_version(tenant: str, dataset: str, version: str) -> None:
    """Remove a version's record. The newest of the others becomes the latest; without others the dataset goes."""
    table.delete(f"{tenant}#dataset#{dataset}", version)
    left = versions(tenant, dataset)
    if not left:
        table.delete(f"{tenant}#datasets", dataset)
        return
    newest = max(left, key=lambda each: str(each["created"]))
    table.put(f"{tenant}#datasets", dataset, {"name": dataset, "latest": newest["version"], "updated": now()})


def delete(tenant: str, dataset: str) -> None:
    """Remove a dataset's records, the dataset itself last, so that a crash half-way can be repeated."""
    table.delete_partition(f"{tenant}#dataset#{dataset}")
    table.delete(f"{tenant}#datasets", dataset)
