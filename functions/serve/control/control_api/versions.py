"""Versions of datasets: what each consists of, where it came from and what came of it, how two differ; removal."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path

from control_api.caller import CallerDep
from modelmill.aws import lineage, objects, removal
from modelmill.aws.records import datasets
from modelmill.aws.settings import settings
from modelmill.core.data.diff import PROFILE_BYTES, diff
from modelmill.core.errors import NotFound
from modelmill.core.names import check_name, dataset_prefix

router = APIRouter(tags=["datasets"])
VersionId = Annotated[str, Path(max_length=64)]
_FILES = {
    "report": "report.html",
    "profile": "profile.json",
    "quarantine": "quarantine.jsonl",
    "version": "version.json",
}


@router.get("/datasets/{dataset}/versions")
def list_versions(dataset: str, caller: CallerDep) -> dict[str, Any]:
    """The versions of a dataset, newest first."""
    found = datasets.get(caller.tenant, check_name("dataset", dataset))
    if found is None:
        raise NotFound("dataset", dataset)
    return {"versions": datasets.versions(caller.tenant, found["name"])}


@router.get("/datasets/{dataset}/versions/{version}")
def get_version(dataset: str, version: VersionId, caller: CallerDep) -> dict[str, Any]:
    """A version with its sources, the runs over it and the models that they trained, and links to its files.

    Runs and models are those of the newest 1,000 runs of all datasets.
    """
    dataset = check_name("dataset", dataset)
    found = _found(caller.tenant, dataset, version)
    folder = dataset_prefix(caller.tenant, dataset, version)
    links = {name: objects.presigned_get(settings().data_bucket, folder + file) for name, file in _FILES.items()}
    return found | lineage.of_runs(lineage.runs(caller.tenant, dataset, version)) | {"links": links}


@router.get("/datasets/{dataset}/versions/{version}/diff/{other}")
def diff_versions(dataset: str, version: VersionId, other: VersionId, caller: CallerDep) -> dict[str, Any]:
    """What changed from `version` to `other`: rows, columns, classes, statistics, quarantine, warnings, recipe."""
    dataset = check_name("dataset", dataset)
    documents = [_found(caller.tenant, dataset, one) for one in (version, other)]
    profiles = [_profile(caller.tenant, dataset, one) for one in (version, other)]
    return {"dataset": dataset} | diff(documents[0], documents[1], profiles[0], profiles[1])


@router.delete("/datasets/{dataset}/versions/{version}")
def delete_version(dataset: str, version: VersionId, caller: CallerDep, models: bool = False) -> dict[str, Any]:
    """Remove all that was made of a version's rows for good; the uploads stay: they may have made other versions.

    The model versions that were trained from it are named; they stay, unless `models` asks for them to go too.
    """
    dataset = check_name("dataset", dataset)
    _found(caller.tenant, dataset, version)
    lineage.check_idle(caller.tenant, dataset)
    trained = lineage.trained(caller.tenant, dataset, version)
    removal.remove_dataset_version(caller.tenant, dataset, version, caller.key_name, trained if models else [])
    return {"deleted": version, "models": [lineage.named(one) for one in trained], "models_deleted": models}


def _found(tenant: str, dataset: str, version: str) -> dict[str, Any]:
    found = datasets.get_version(tenant, dataset, version)
    if found is None:
        raise NotFound("version", version)
    return found


def _profile(tenant: str, dataset: str, version: str) -> dict[str, Any] | None:
    """The version's profile.json, or None if it is not there or too large to be compared here."""
    place = settings().data_bucket, f"{dataset_prefix(tenant, dataset, version)}profile.json"
    try:
        if objects.head(*place)["ContentLength"] > PROFILE_BYTES:
            return None
        profile: dict[str, Any] = json.loads(objects.get(*place))
    except FileNotFoundError:
        return None
    return profile
