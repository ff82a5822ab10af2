"""Datasets: links for uploads out, and what became of the uploads; removal of a dataset with all its versions."""

import re
import secrets
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from control_api import recipes
from control_api.body import Body
from control_api.caller import CallerDep, IdempotencyKey
from control_api.recipes import RecipeField
from modelmill.aws import objects, removal
from modelmill.aws.records import datasets, idempotency, pipelines
from modelmill.aws.settings import settings
from modelmill.core.errors import Conflict, ModelmillError, NotFound
from modelmill.core.limits import MIB, PRESIGNED_SECONDS, UPLOAD_BYTES
from modelmill.core.names import RECIPE_FILE, UploadKey, check_name, dataset_prefix

router = APIRouter(tags=["datasets"])
FILE_CHARACTERS = 128
_FILE = re.compile(rf"[^/\\\x00-\x1f\x7f]{{1,{FILE_CHARACTERS}}}")
VersionId = Annotated[str, Path(max_length=64)]


class NewUpload(Body):
    """A file that is about to be uploaded: its name, its size in bytes if known, the recipe of its run."""

    file: str
    size: int | None = Field(None, ge=0)
    recipe: RecipeField = None


@router.post("/datasets/{dataset}/uploads", status_code=201)
def create_upload(
    dataset: str, body: NewUpload, caller: CallerDep, idempotency_key: IdempotencyKey = None
) -> dict[str, Any]:
    """A link to which the file is PUT; the file's arrival starts a pipeline. The recipe is put in place before."""
    if body.size is not None and body.size > UPLOAD_BYTES:
        hint = f"at most {UPLOAD_BYTES // MIB} MiB in this version; compress the file or split it"
        raise ModelmillError(
            "upload_too_large", f"{body.size} bytes are too many", status=413, limit=UPLOAD_BYTES, hint=hint
        )
    dataset, file, recipe = check_name("dataset", dataset), _file_name(body.file), recipes.checked(body.recipe)
    upload_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(5)}"
    if idempotency_key is not None:
        request = {"upload": dataset, **body.model_dump(mode="json")}
        upload_id = idempotency.decide(caller.tenant, idempotency_key, request, upload_id)
    upload = UploadKey(caller.tenant, dataset, upload_id, file)
    bucket = settings().uploads_bucket
    if recipe is not None:
        objects.put(bucket, upload.recipe_key, recipes.as_file(recipe), "application/yaml")
    return {
        "upload_id": upload_id,
        "bucket": bucket,
        "key": upload.key,
        "method": "PUT",
        "url": objects.presigned_put(bucket, upload.key),
        "expires_in": PRESIGNED_SECONDS,
    }


def _file_name(name: str) -> str:
    if not _FILE.fullmatch(name) or name in (".", "..", RECIPE_FILE):
        raise ModelmillError(
            "bad_file_name",
            f"{name[:FILE_CHARACTERS]!r} is not the name of a data file",
            status=422,
            limit=FILE_CHARACTERS,
            hint="for example reviews.csv; a recipe goes into the field `recipe`",
        )
    return name


@router.get("/datasets")
def list_datasets(caller: CallerDep) -> dict[str, Any]:
    """The datasets by name."""
    return {"datasets": datasets.names(caller.tenant)}


@router.get("/datasets/{dataset}")
def get_dataset(dataset: str, caller: CallerDep) -> dict[str, Any]:
    """A dataset with its latest version."""
    found = _found(caller.tenant, dataset)
    return found | {"latest_version": datasets.get_version(caller.tenant, found["name"], found["latest"])}


@router.delete("/datasets/{dataset}")
def delete_dataset(dataset: str, caller: CallerDep) -> dict[str, Any]:
    """Remove the dataset's uploads, versions and quarantined files for good. Models trained from it stay."""
    dataset = check_name("dataset", dataset)
    known = datasets.get(caller.tenant, dataset) is not None
    # A dataset of which every upload was refused has objects but no record.
    if not known and not any(objects.keys(settings().uploads_bucket, f"{caller.tenant}/{dataset}/")):
        raise NotFound("dataset", dataset)
    runs = pipelines.latest(caller.tenant, pipelines.LOOK_BACK, dataset=dataset)
    running = [run["id"] for run in runs if run["status"] == "RUNNING"]
    if running:
        raise Conflict("dataset_in_use", f"run {running[0]} is at work on it", hint="cancel the run or wait for it")
    removal.remove_dataset(caller.tenant, dataset, caller.key_name)
    return {"deleted": dataset}


@router.get("/datasets/{dataset}/versions")
def list_versions(dataset: str, caller: CallerDep) -> dict[str, Any]:
    """The versions of a dataset."""
    found = _found(caller.tenant, dataset)
    return {"versions": datasets.versions(caller.tenant, found["name"])}


@router.get("/datasets/{dataset}/versions/{version}")
def get_version(dataset: str, version: VersionId, caller: CallerDep) -> dict[str, Any]:
    """A version, with links to its report, its profile and the rows that could not be used."""
    dataset = check_name("dataset", dataset)
    found = _found_version(caller.tenant, dataset, version)
    folder = dataset_prefix(caller.tenant, dataset, version)
    files = {"report": "report.html", "profile": "profile.json", "quarantine": "quarantine.jsonl"}
    links = {name: objects.presigned_get(settings().data_bucket, folder + file) for name, file in files.items()}
    return found | {"links": links}


@router.delete("/datasets/{dataset}/versions/{version}")
def delete_version(dataset: str, version: VersionId, caller: CallerDep) -> dict[str, Any]:
    """Remove a version's rows for good. Models trained from it stay."""
    dataset = check_name("dataset", dataset)
    _found_version(caller.tenant, dataset, version)
    removal.remove_dataset_version(caller.tenant, dataset, version, caller.key_name)
    return {"deleted": version}


def _found_version(tenant: str, dataset: str, version: str) -> dict[str, Any]:
    found = datasets.get_version(tenant, dataset, version)
    if found is None:
        raise NotFound("version", version)
    return found


def _found(tenant: str, dataset: str) -> dict[str, Any]:
    found = datasets.get(tenant, check_name("dataset", dataset))
    if found is None:
        raise NotFound("dataset", dataset)
    return found
