"""Removal of a dataset or a model: its objects (every version of them) and its records; the audit trail keeps the deed.

Records go last, so that a removal that was cut short is found again and can be repeated.
"""

from modelmill.aws import objects
from modelmill.aws.records import audit, datasets, models
from modelmill.aws.settings import settings
from modelmill.core.names import package_prefix, run_prefix


def remove_dataset(tenant: str, dataset: str, who: str) -> None:
    """Remove a dataset's uploads, versions and quarantined files, then its records."""
    audit.add(tenant, "delete-dataset", dataset, who)
    objects.delete_all(settings().uploads_bucket, f"{tenant}/{dataset}/")
    objects.delete_all(settings().data_bucket, f"{tenant}/datasets/{dataset}/")
    objects.delete_all(settings().data_bucket, f"{tenant}/quarantine/{dataset}/")
    datasets.delete(tenant, dataset)


def remove_model(tenant: str, model: str, who: str) -> None:
    """Remove a model's route, packages and run artefacts, then its records.

    A package is content-addressed, so another model may hold the same one: then its bytes stay.
    """
    audit.add(tenant, "delete-model", model, who)
    models.clear_route(tenant, model)
    others = [other["name"] for other in models.names(tenant) if other["name"] != model]
    bucket = settings().models_bucket
    for version in models.versions(tenant, model):
        if not any(models.holds_package(tenant, other, version["digest"]) for other in others):
            objects.delete_all(bucket, package_prefix(tenant, version["digest"]))
        objects.delete_all(bucket, run_prefix(tenant, version["run_id"]))
    models.delete(tenant, model)
