"""Uploads: names and sizes in; links to S3 out, for one PUT, for parts or for several files. Bytes never come here."""

import secrets
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field, model_validator

from control_api import recipes
from control_api.body import Body
from control_api.caller import Caller, CallerDep, IdempotencyKey
from control_api.recipes import RecipeField
from modelmill.aws import objects, transfers
from modelmill.aws.records import idempotency
from modelmill.aws.settings import settings
from modelmill.core.data.transfer import PlannedFile, Transfer
from modelmill.core.errors import ModelmillError
from modelmill.core.limits import LINKS_PER_REQUEST, MULTIPART_PARTS, PRESIGNED_SECONDS, UPLOAD_FILES
from modelmill.core.names import MARKER_FILE, RECIPE_FILE, UploadKey, check_name

router = APIRouter(tags=["datasets"])
FILE_CHARACTERS = 128
_LARGEST = 2**60
FileName = Annotated[str, Field(min_length=1, max_length=1_024)]
Number = Annotated[int, Field(ge=1, le=MULTIPART_PARTS, strict=True)]


class NewFile(Body):
    """One of several files: its path within the upload and its size in bytes."""

    file: FileName
    size: int = Field(ge=0, le=_LARGEST)


class NewUpload(Body):
    """What is about to be uploaded: `file`, with its `size` in bytes if known, or several `files`; the run's recipe.

    A file that is large, or for which `multipart` is asked, is sent in parts.
    """

    file: str | None = None
    size: int | None = Field(None, ge=0, le=_LARGEST)
    multipart: bool = False
    files: list[NewFile] | None = Field(None, min_length=1, max_length=UPLOAD_FILES)
    recipe: RecipeField = None

    @model_validator(mode="after")
    def _is_one_or_several(self) -> "NewUpload":
        if (self.file is None) == (self.files is None):
            raise ValueError("give either `file` or `files`")
        if self.files is not None and (self.size is not None or self.multipart):
            raise ValueError("`size` and `multipart` go with `file`")
        if self.multipart and self.size is None:
            raise ValueError("`multipart` needs the `size`")
        return self

    def plan(self) -> Transfer:
        """The files, each in one piece or in parts."""
        if self.files is not None:
            return Transfer(files=[PlannedFile.of(one.file, one.size) for one in self.files], single=False)
        file, size = _file_name(str(self.file)), self.size or 0
        return Transfer(files=[PlannedFile.of(file, size, multipart=self.multipart)], single=True)


class Wanted(Body):
    """Links that are wanted: for parts of one file by their `numbers`, or for whole `files` of several."""

    file: FileName | None = None
    numbers: list[Number] | None = Field(None, min_length=1, max_length=LINKS_PER_REQUEST)
    files: list[FileName] | None = Field(None, min_length=1, max_length=LINKS_PER_REQUEST)

    @model_validator(mode="after")
    def _is_one_kind(self) -> "Wanted":
        if (self.numbers is None) == (self.files is None):
            raise ValueError("give either `numbers` or `files`")
        if self.files is not None and self.file is not None:
            raise ValueError("`file` goes with `numbers`")
        return self


class SentPart(Body):
    """A part that was sent, with the ETag that S3 answered."""

    number: Number
    etag: str = Field(pattern=r'^"?[0-9A-Za-z+/=_-]{1,128}"?$')


class Completion(Body):
    """One file that was sent in parts, or, without `file` and `parts`, the upload of several files."""

    file: FileName | None = None
    parts: list[SentPart] | None = Field(None, min_length=1, max_length=MULTIPART_PARTS)


@router.post("/datasets/{dataset}/uploads", status_code=201)
def create_upload(
    dataset: str, body: NewUpload, caller: CallerDep, idempotency_key: IdempotencyKey = None
) -> dict[str, Any]:
    """Begin an upload; the recipe is put in place. A small file gets its link, whose use starts a pipeline."""
    plan, recipe = body.plan(), recipes.checked(body.recipe)
    upload_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(5)}"
    upload = _key(caller, dataset, upload_id)
    plan.check(upload)
    if idempotency_key is not None:
        request = {"upload": upload.dataset, **body.model_dump(mode="json", exclude_defaults=True)}
        upload = _key(caller, dataset, idempotency.decide(caller.tenant, idempotency_key, request, upload_id))
    bucket = settings().uploads_bucket
    if recipe is not None:
        objects.put(bucket, upload.recipe_key, recipes.as_file(recipe), "application/yaml")
    coming = transfers.Coming(bucket, upload, plan)
    answer = {
        "upload_id": upload.upload_id,
        "bucket": bucket,
        "key": coming.marker,
        "expires_in": PRESIGNED_SECONDS,
    }
    if plan.single and plan.files[0].part_bytes is None:
        return answer | {"method": "PUT", "url": objects.presigned_put(bucket, coming.marker)}
    transfers.begin(coming)
    return answer | {"files": [transfers.describe(file) for file in plan.files]}


@router.get("/datasets/{dataset}/uploads/{upload_id}")
def get_upload(
    dataset: str, upload_id: str, caller: CallerDep, file: Annotated[str | None, Query(max_length=1_024)] = None
) -> dict[str, Any]:
    """What S3 has of an upload in parts or of several files, or of one `file` of it: enough to go on with it."""
    return transfers.state(_found(caller, dataset, upload_id), file)


@router.post("/datasets/{dataset}/uploads/{upload_id}/parts")
def create_links(
    dataset: str, upload_id: str, body: Wanted, caller: CallerDep, idempotency_key: IdempotencyKey = None
) -> dict[str, Any]:
    """Links for parts of a file, or for whole files of several, as many at a time as will be used soon."""
    coming = _found(caller, dataset, upload_id)
    _once(caller, idempotency_key, {"links": upload_id, **body.model_dump(mode="json")})
    if body.numbers is not None:
        links = transfers.part_links(coming, body.file, body.numbers)
    else:
        links = transfers.file_links(coming, body.files or [])
    return {"links": links, "expires_in": PRESIGNED_SECONDS}


@router.post("/datasets/{dataset}/uploads/{upload_id}/complete")
def complete_upload(
    dataset: str, upload_id: str, body: Completion, caller: CallerDep, idempotency_key: IdempotencyKey = None
) -> dict[str, Any]:
    """Make a file of its parts; or, when all files of several are there, start the pipeline. Again is the same."""
    coming = _found(caller, dataset, upload_id)
    _once(caller, idempotency_key, {"complete": upload_id, **body.model_dump(mode="json")})
    if coming.plan.single or body.file is not None or body.parts is not None:
        transfers.complete_file(coming, coming.plan.find(body.file), _etags(body))
    else:
        transfers.complete(coming)
    whole = coming.plan.single or body.file is None
    return {"upload_id": upload_id, "key": coming.marker, "status": "complete" if whole else "open"}


@router.delete("/datasets/{dataset}/uploads/{upload_id}")
def abort_upload(dataset: str, upload_id: str, caller: CallerDep) -> dict[str, Any]:
    """Drop what has arrived of an upload that is not complete."""
    transfers.abort(_found(caller, dataset, upload_id))
    return {"aborted": upload_id}


def _key(caller: Caller, dataset: str, upload_id: str) -> UploadKey:
    return UploadKey(caller.tenant, check_name("dataset", dataset), check_name("upload", upload_id), "")


def _found(caller: Caller, dataset: str, upload_id: str) -> transfers.Coming:
    return transfers.find(settings().uploads_bucket, _key(caller, dataset, upload_id))


def _once(caller: Caller, key: str | None, request: dict[str, Any]) -> None:
    """These calls can be repeated as they are; a key only guards against its use for another request."""
    if key is not None:
        idempotency.decide(caller.tenant, key, request, "")


def _etags(body: Completion) -> dict[int, str] | None:
    if body.parts is None:
        return None
    etags = {part.number: part.etag.strip('"') for part in body.parts}
    if len(etags) < len(body.parts):
        raise ModelmillError("bad_part_number", "a part is named twice", status=422)
    return etags


def _file_name(name: str) -> str:
    """The name of an only file, which lies directly in the upload's folder beside other things of ours."""
    if "/" in name or len(name) > FILE_CHARACTERS or name in (RECIPE_FILE, MARKER_FILE):
        raise ModelmillError(
            "bad_file_name",
            f"{name[:FILE_CHARACTERS]!r} is not the name of a data file",
            status=422,
            limit=FILE_CHARACTERS,
            hint="for example reviews.csv; a recipe goes into the field `recipe`, several files into `files`",
        )
    return name
