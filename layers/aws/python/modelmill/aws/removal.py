"""Removal of a dataset or a model: its objects (every version of them) and its records; the audit trail keeps the deed.

Records go last, so that a removal that was cut short is found again and can be repeated.
"""

from typing import Any

from modelmill.aws import objects
from modelmill.aws.records import audit, datasets, models
from modelmill.aws.settings import settings
from modelmill.core.names import dataset_prefix, package_prefix, run_prefix


def remove_dataset(tenant: str, dataset: str, who: str) -> None:
    """Remove a dataset's uploads, versions and quarantined files, then its records."""
    audit.add(tenant, "delete-dataset", dataset, who)
    objects.delete_all(settings().uploads_bucket, f"{tenant}/{dataset}/")
    objects.delete_all(settings().data_bucket, f"{tenant}/datasets/{dataset}/")
    objects.delete_all(settings().data_bucket, f"{tenant}/quarantine/{dataset}/")
    datasets.delete(tenant, dataset)


def remove_dataset_version(tenant: str, dataset: str, version: str, who: str) -> None:
    """Remove one version's rows and record. The upload that it was made from stays: it may have made others."""
    audit.add(tenant, "delete-dataset-version", f"{dataset}/{version}", who)
    objects.delete_all(settings().data_bucket, dataset_prefix(tenant, dataset, version))
    datasets.delete_version(tenant, dataset, version)


def remove_model(tenant: str, model: str, who: str) -> None:
    """Remove a model's route, packages and run artefacts, then its records.

    A package is content-addressed, so another model may hold the same one: then its bytes stay.
    """
    audit.add(tenant, "delete-model", model, who)
    models.clear_route(tenant, model)
    for version in models.versions(tenant, model):
        _remove_artefacts(tenant, model, version)
    models.delete(tenant, model)


def remove_model_version(tenant: str, model: str, version: dict[str, Any], who: str) -> None:
    """Remove one version of a model, given its record. That no route leads to it is the caller's business."""
    audit.add(tenant, "delete-model-version", f"{model}/{version['version']}", who)
    _remove_artefacts(tenant, model, version)
    models.delete_version(tenant, model, version)


def _remove_artefacts(tenant: str, model: str, version: dict[str, Any]) -> None:
    bucket, digest = settings().models_bucket, version["digest"]
    others = [other["name"] for other in models.names(tenant) if other["name"] != model]
    if not any(models.holds_package(tenant, other, digest) for other in others):
        objects.delete_all(bucket, package_prefix(tenant, digest))
    objects.delete_all(bucket, run_prefix(tenant, version["run_id"]))
