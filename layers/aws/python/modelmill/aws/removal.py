"""Removal of a dataset or a model: its objects (every version of them) and its records; the audit trail keeps the deed.

Records go last, so that a removal that was cut short is found again and can be repeated.
"""

from typing import Any

from modelmill.aws import lineage, multipart, objects
from modelmill.aws.records import audit, datasets, models
from modelmill.aws.settings import settings
from modelmill.core.names import dataset_prefix, package_prefix, run_prefix, scratch_prefix


def remove_dataset(tenant: str, dataset: str, who: str, trained: list[lineage.Trained]) -> None:
    """Remove a dataset's uploads, versions and quarantined files, then its records; and first the models `trained`.

    Raises Conflict (`version_routed`), and nothing is removed, if a route leads to one of these.
    """
    lineage.check_unrouted(tenant, trained)
    audit.add(tenant, "delete-dataset", dataset, who)
    for record in trained:
        remove_model_version(tenant, record["model"], record, who)
    _remove_derived(tenant, dataset)
    bucket = settings().uploads_bucket
    multipart.drop_all(bucket, f"{tenant}/{dataset}/")
    objects.delete_all(bucket, f"{tenant}/{dataset}/")
    objects.delete_all(settings().data_bucket, f"{tenant}/datasets/{dataset}/")
    objects.delete_all(settings().data_bucket, f"{tenant}/quarantine/{dataset}/")
    objects.delete_all(settings().data_bucket, scratch_prefix(tenant, dataset))
    datasets.delete(tenant, dataset)


def remove_dataset_version(tenant: str, dataset: str, version: str, who: str, trained: list[lineage.Trained]) -> None:
    """Remove one version's rows, all that was made of them and its record; and first the models `trained`.

    The upload that it was made from stays: it may have made others. Raises Conflict as `remove_dataset` does.
    """
    lineage.check_unrouted(tenant, trained)
    audit.add(tenant, "delete-dataset-version", f"{dataset}/{version}", who)
    for record in trained:
        remove_model_version(tenant, record["model"], record, who)
    _remove_derived(tenant, dataset, version)
    objects.delete_all(settings().data_bucket, dataset_prefix(tenant, dataset, version))
    datasets.delete_version(tenant, dataset, version)


def _remove_derived(tenant: str, dataset: str, version: str | None = None) -> None:
    """What runs over the dataset, or a version, left: scratch, and artefacts unless a model that stays was made."""
    kept = {record["run_id"] for record in lineage.trained(tenant, dataset, version)}
    for run in lineage.runs(tenant, dataset, version, look_back=None):
        objects.delete_all(settings().data_bucket, scratch_prefix(tenant, dataset, run["id"]))
        if run["id"] not in kept:
            objects.delete_all(settings().models_bucket, run_prefix(tenant, run["id"]))


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
