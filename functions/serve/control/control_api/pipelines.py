"""Pipelines: runs of the life cycle. Started again over an upload, followed, cancelled."""

import secrets
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import model_validator

from control_api import recipes
from control_api.body import Body
from control_api.caller import Caller, CallerDep, IdempotencyKey
from control_api.recipes import RecipeField
from modelmill.aws import objects, workflow
from modelmill.aws.records import datasets, idempotency, pipelines
from modelmill.aws.settings import settings
from modelmill.core.errors import Conflict, ModelmillError, NotFound
from modelmill.core.limits import OBJECT_KEY_BYTES
from modelmill.core.names import UploadKey, check_name

router = APIRouter(tags=["pipelines"])
RunId = Annotated[str, Path(max_length=80)]


class Source(Body):
    """An object in the uploads bucket."""

    key: str


class NewPipeline(Body):
    """What to run over: an upload by its key, or the upload that a dataset's version (default: latest) was made from.

    `recipe` takes the place of the one that was uploaded with the file.
    """

    source: Source | None = None
    dataset: str | None = None
    version: str | None = None
    recipe: RecipeField = None

    @model_validator(mode="after")
    def _names_one_thing(self) -> "NewPipeline":
        if (self.source is None) == (self.dataset is None):
            raise ValueError("give either `source` or `dataset`")
        if self.source is not None and self.version is not None:
            raise ValueError("`version` goes with `dataset`")
        return self


@router.post("/pipelines", status_code=202)
def start_pipeline(body: NewPipeline, caller: CallerDep, idempotency_key: IdempotencyKey = None) -> dict[str, Any]:
    """Run the life cycle again over a file that was uploaded before; the answer is the new run."""
    recipe = recipes.checked(body.recipe)
    upload = _upload(caller.tenant, body)
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(5)}"
    if idempotency_key is not None:
        request = {"pipeline": body.model_dump(mode="json")}
        run_id = idempotency.decide(caller.tenant, idempotency_key, request, run_id)
    dataset = UploadKey.parse(upload["key"]).dataset
    payload = {"run_id": run_id, "tenant": caller.tenant, "dataset": dataset, "upload": upload}
    if recipe is not None:
        payload["recipe"] = recipe
    pipelines.start(caller.tenant, run_id, {"dataset": dataset, "upload": upload, "requested_by": caller.key_name})
    workflow.start(run_id, payload)
    return _found(caller.tenant, run_id)


def _upload(tenant: str, body: NewPipeline) -> dict[str, Any]:
    """`{"bucket", "key", "version_id", "size"}` of the uploaded object, which must be there and be the tenant's."""
    bucket, version_id = settings().uploads_bucket, None
    if body.source is not None:
        key = body.source.key
    else:
        source = _version_source(tenant, str(body.dataset), body.version)
        bucket, key, version_id = source["bucket"], source["key"], source["version_id"] or None
    upload = UploadKey.parse(key)
    if upload.is_recipe:
        raise ModelmillError("bad_upload_key", "this is a recipe, not a data file", status=422)
    if upload.tenant != tenant or len(key.encode()) > OBJECT_KEY_BYTES:
        raise NotFound("upload", key[:200])
    try:
        head = objects.head(bucket, key, version_id)
    except FileNotFoundError:
        raise NotFound("upload", key[:200], hint="it was removed; upload the file again") from None
    return {"bucket": bucket, "key": key, "version_id": head.get("VersionId"), "size": head["ContentLength"]}


def _version_source(tenant: str, dataset: str, version: str | None) -> dict[str, str]:
    dataset = check_name("dataset", dataset)
    found = datasets.get(tenant, dataset)
    if found is None:
        raise NotFound("dataset", dataset)
    wanted = check_name("version", version) if version is not None else found["latest"]
    document = datasets.get_version(tenant, dataset, wanted)
    if document is None:
        raise NotFound("version", wanted)
    source: dict[str, str] = document["sources"][0]
    return source


@router.get("/pipelines")
def list_pipelines(
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    dataset: str | None = None,
    upload_key: str | None = None,
) -> dict[str, Any]:
    """The newest runs, newest first; of one dataset, or of one uploaded object, if asked."""
    return {"pipelines": pipelines.latest(caller.tenant, limit, dataset=dataset, upload_key=upload_key)}


@router.get("/pipelines/{run_id}")
def get_pipeline(run_id: RunId, caller: CallerDep) -> dict[str, Any]:
    """A run: status, stages with their progress, and at its end the reason or the model."""
    return _found(caller.tenant, run_id)


@router.post("/pipelines/{run_id}/cancel")
def cancel_pipeline(run_id: RunId, caller: CallerDep) -> dict[str, Any]:
    """Stop a run with its jobs. Cancelling a cancelled run is fine; a run that has ended otherwise stays as it is."""
    run = _found(caller.tenant, run_id)
    if run["status"] == "RUNNING":
        _stop(caller, run_id)
        run = _found(caller.tenant, run_id)
    if run["status"] != "CANCELLED":
        raise Conflict("run_ended", f"run {run_id} has ended: {run['status']}")
    return run


def _stop(caller: Caller, run_id: str) -> None:
    message = f"cancelled by {caller.key_name}"
    workflow.stop(run_id, message)
    pipelines.finish(caller.tenant, run_id, "CANCELLED", {"reason": {"code": "cancelled", "message": message}})


@router.post("/pipelines/{run_id}/approve")
def approve_pipeline(run_id: RunId, caller: CallerDep) -> dict[str, Any]:
    """Let a run go on that waits for a person. No stage of this version waits, so that it is always a 409."""
    _found(caller.tenant, run_id)
    raise Conflict("not_waiting", f"run {run_id} does not wait for an approval")


def _found(tenant: str, run_id: str) -> dict[str, Any]:
    run = pipelines.get(tenant, run_id)
    if run is None:
        raise NotFound("pipeline run", run_id)
    return run
