"""Uploads in parts or of several files: a plan in; links, what S3 has of it, and the object that starts a run, out.

The plan lies beside the files, what has arrived is asked of S3, and bytes go straight to it: nothing else is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelmill.aws import multipart, objects
from modelmill.aws.clients import client
from modelmill.core.data.sources import Source, as_marker
from modelmill.core.data.transfer import PlannedFile, Transfer
from modelmill.core.errors import Conflict, ModelmillError, NotFound
from modelmill.core.limits import MARKER_BYTES
from modelmill.core.names import UploadKey

LISTED = 20
"""Of so many files that are being sent in parts the parts are listed at once; of more, file by file."""
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Coming:
    """An upload that is planned: `key` names its folder."""

    bucket: str
    key: UploadKey
    plan: Transfer

    def place(self, file: PlannedFile) -> str:
        """The key of a file."""
        return self.plan.key(self.key, file)

    @property
    def marker(self) -> str:
        """The key that starts the run."""
        return self.plan.marker(self.key)


def begin(coming: Coming) -> None:
    """Keep the plan. Doing it again is the same."""
    objects.put(coming.bucket, coming.key.plan_key, coming.plan.model_dump_json().encode(), "application/json")


def find(bucket: str, key: UploadKey) -> Coming:
    """The upload as it was planned; raises NotFound."""
    plan = objects.find(bucket, key.plan_key)
    if plan is None:
        raise NotFound("upload", key.upload_id)
    return Coming(bucket, key, Transfer.model_validate_json(plan))


def stored(bucket: str, prefix: str) -> dict[str, Source]:
    """The objects whose keys begin with `prefix`, by key, with the version, size and ETag that each has now."""
    pages = client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    found = [each for page in pages for each in page.get("Versions", []) if each["IsLatest"]]
    return {
        each["Key"]: Source(
            bucket=bucket,
            key=each["Key"],
            version_id="" if each["VersionId"] == "null" else each["VersionId"],
            size=each["Size"],
            etag=each["ETag"].strip('"'),
        )
        for each in found
    }


def state(coming: Coming, name: str | None = None) -> dict[str, Any]:
    """What S3 has of the upload, or of one of its files: `status` open or complete, files that are stored, parts."""
    there = stored(coming.bucket, coming.key.folder)
    files = coming.plan.files if name is None else [coming.plan.find(name)]
    under_way = dict(reversed(list(multipart.begun(coming.bucket, coming.key.folder))))
    listed = [file for file in files if coming.place(file) in under_way]
    shown = {file.file: _parts(coming, file, under_way) for file in listed} if len(listed) <= LISTED else {}
    return {
        "upload_id": coming.key.upload_id,
        "key": coming.marker,
        "status": "complete" if _is_complete(coming, there) else "open",
        "files": [
            {**describe(file), "stored": _is_stored(coming, file, there), "uploaded_parts": shown.get(file.file)}
            for file in files
        ],
    }


def describe(file: PlannedFile) -> dict[str, Any]:
    """A file as the API shows it."""
    return {"file": file.file, "size": file.size, "part_bytes": file.part_bytes, "parts": file.parts}


def _parts(coming: Coming, file: PlannedFile, under_way: Mapping[str, str]) -> list[dict[str, Any]]:
    found = multipart.parts(coming.bucket, coming.place(file), under_way[coming.place(file)])
    return [part._asdict() for part in found.values()]


def _is_stored(coming: Coming, file: PlannedFile, there: Mapping[str, Source]) -> bool:
    found = there.get(coming.place(file))
    return found is not None and found.size == file.size


def _is_complete(coming: Coming, there: Mapping[str, Source]) -> bool:
    if coming.plan.single:
        return _is_stored(coming, coming.plan.files[0], there)
    return coming.marker in there


def part_links(coming: Coming, name: str | None, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Links for parts of a file; raises ModelmillError for parts that it does not have."""
    file = coming.plan.find(name)
    for number in numbers:
        file.part_size(number)
    key = coming.place(file)
    upload_id = multipart.find_or_begin(coming.bucket, key)
    return [
        {"number": number, "method": "PUT", "url": multipart.presigned_part(coming.bucket, key, upload_id, number)}
        for number in numbers
    ]


def file_links(coming: Coming, names: Sequence[str]) -> list[dict[str, Any]]:
    """Links for files that are sent in one piece."""
    files = [coming.plan.find(name) for name in names]
    in_parts = next((file.file for file in files if file.part_bytes is not None), None)
    if in_parts is not None:
        raise ModelmillError("in_parts", f"{in_parts!r} is sent in parts: ask for their `numbers`", status=422)
    return [
        {"file": file.file, "method": "PUT", "url": objects.presigned_put(coming.bucket, coming.place(file))}
        for file in files
    ]


def complete_file(coming: Coming, file: PlannedFile, etags: Mapping[int, str] | None) -> None:
    """Make a file of the parts that S3 has, if they are all there and, where the caller names ETags, have those.

    Raises Conflict: parts_missing, wrong_part. A file that is stored already stays as it is.
    """
    key = coming.place(file)
    upload_id = multipart.find(coming.bucket, key)
    if upload_id is None:
        if _is_stored(coming, file, stored(coming.bucket, key)):
            return
        raise Conflict("parts_missing", f"S3 has no part of {file.file!r}", hint="ask for links and send the parts")
    have = multipart.parts(coming.bucket, key, upload_id)
    for number, etag in (etags or {}).items():
        file.part_size(number)
        if number in have and have[number].etag != etag:
            raise Conflict("wrong_part", f"part {number} was replaced meanwhile: S3 has another ETag")
    wanted = range(1, (file.parts or 0) + 1)
    missing = [n for n in wanted if n not in have or have[n].size != file.part_size(n)]
    if missing:
        raise Conflict("parts_missing", f"S3 lacks {_some(missing)} of the {file.parts} parts of {file.file!r}")
    multipart.complete(coming.bucket, key, upload_id, [have[number] for number in wanted])


def complete(coming: Coming) -> None:
    """Write the list of files, whose arrival starts the run; once only. Raises Conflict (`files_missing`)."""
    there = stored(coming.bucket, coming.key.folder)
    if _is_complete(coming, there):
        return
    missing = [file.file for file in coming.plan.files if not _is_stored(coming, file, there)]
    if missing:
        raise Conflict(
            "files_missing", f"S3 lacks {_some(missing)} of {len(coming.plan.files)} files, or their sizes differ"
        )
    marker = as_marker([there[coming.place(file)] for file in coming.plan.files])
    if len(marker) > MARKER_BYTES:
        raise ModelmillError("upload_too_large", "the names of the files are too long", status=413, limit=MARKER_BYTES)
    objects.put_new(coming.bucket, coming.marker, marker, "application/json")


def abort(coming: Coming) -> None:
    """Drop everything that has arrived; raises Conflict (`upload_complete`) if a run has it already."""
    if _is_complete(coming, stored(coming.bucket, coming.key.folder)):
        raise Conflict("upload_complete", "the upload is complete: a run reads it", hint="delete the dataset instead")
    multipart.drop_all(coming.bucket, coming.key.folder)
    objects.delete_all(coming.bucket, coming.key.folder)


def _some(things: Sequence[Any]) -> str:
    more = f" and {len(things) - _NAMED} more" if len(things) > _NAMED else ""
    return ", ".join(str(thing)[:128] for thing in things[:_NAMED]) + more
