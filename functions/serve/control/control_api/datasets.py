"""Datasets by name, with what their uploads became; removal of a dataset with all its versions."""

from typing import Any

from fastapi import APIRouter

from control_api.caller import CallerDep
from modelmill.aws import lineage, objects, removal
from modelmill.aws.records import datasets
from modelmill.aws.settings import settings
from modelmill.core.errors import NotFound
from modelmill.core.names import check_name

router = APIRouter(tags=["datasets"])


@router.get("/datasets")
def list_datasets(caller: CallerDep) -> dict[str, Any]:
    """The datasets by name."""
    return {"datasets": datasets.names(caller.tenant)}


@router.get("/datasets/{dataset}")
def get_dataset(dataset: str, caller: CallerDep) -> dict[str, Any]:
    """A dataset with its latest version."""
    found = datasets.get(caller.tenant, check_name("dataset", dataset))
    if found is None:
        raise NotFound("dataset", dataset)
    return found | {"latest_version": datasets.get_version(caller.tenant, found["name"], found["latest"])}


@router.delete("/datasets/{dataset}")
def delete_dataset(dataset: str, caller: CallerDep, models: bool = False) -> dict[str, Any]:
    """Remove the dataset's uploads, versions and quarantined files for good.

    The model versions that were trained from it are named; they stay, unless `models` asks for them to go too.
    """
    dataset = check_name("dataset", dataset)
    known = datasets.get(caller.tenant, dataset) is not None
    # A dataset of which every upload was refused has objects but no record.
    if not known and not any(objects.keys(settings().uploads_bucket, f"{caller.tenant}/{dataset}/")):
        raise NotFound("dataset", dataset)
    lineage.check_idle(caller.tenant, dataset)
    trained = lineage.trained(caller.tenant, dataset)
    removal.remove_dataset(caller.tenant, dataset, caller.key_name, trained if models else [])
    return {"deleted": dataset, "models": [lineage.named(one) for one in trained], "models_deleted": models}
