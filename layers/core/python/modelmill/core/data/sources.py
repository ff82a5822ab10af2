"""What a version was made from: a marker's JSON in, the objects that it names out, and the reverse.

An upload of several files is complete when `{tenant}/{dataset}/{upload_id}/upload.json` is there:
`{"files": [{"key", "size"?, "version_id"?, "etag"?}, …]}`, each key below `files/` of the same folder.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelmill.core.digest import canonical_json
from modelmill.core.errors import Rejected
from modelmill.core.limits import MARKER_BYTES, OBJECT_KEY_BYTES, UPLOAD_FILES
from modelmill.core.names import UploadKey, check_files

_LARGEST = 2**60


class Source(BaseModel):
    """An object that rows were read from. `version_id` is empty where the bucket keeps no versions."""

    model_config = ConfigDict(frozen=True)
    bucket: str
    key: str
    version_id: str = ""
    size: int | None = None
    """Bytes; None in records that are older than the field."""
    etag: str = ""


class _Entry(BaseModel):
    key: str = Field(max_length=OBJECT_KEY_BYTES)
    size: int | None = Field(None, ge=0, le=_LARGEST, strict=True)
    version_id: str | None = Field(None, max_length=1_024)
    etag: str | None = Field(None, max_length=256)


class _Marker(BaseModel):
    files: list[_Entry] = Field(min_length=1, max_length=UPLOAD_FILES)


def read_marker(data: bytes, bucket: str, upload: UploadKey) -> list[Source]:
    """The files of the upload, by name, whatever their order in the marker.

    Raises Rejected: `bad_upload_marker`, `bad_file_name`, `duplicate_file`.
    """
    if len(data) > MARKER_BYTES:
        raise Rejected("bad_upload_marker", f"upload.json has {len(data):,} bytes", limit=MARKER_BYTES)
    try:
        marker = _Marker.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "upload.json"
        raise Rejected(
            "bad_upload_marker",
            f"{where}: {first['msg']}",
            limit=UPLOAD_FILES,
            hint='for example {"files": [{"key": "TENANT/DATASET/UPLOAD/files/train.csv"}]}',
        ) from None
    outside = next((entry.key for entry in marker.files if not entry.key.startswith(upload.files)), None)
    if outside is not None:
        raise Rejected(
            "bad_upload_marker", f"{outside[:200]!r} is not in the folder of the upload", hint=f"it is {upload.files}"
        )
    check_files([entry.key.removeprefix(upload.files) for entry in marker.files])
    found = [
        Source(bucket=bucket, key=one.key, version_id=one.version_id or "", size=one.size, etag=one.etag or "")
        for one in marker.files
    ]
    return sorted(found, key=lambda source: source.key)


def as_marker(files: Sequence[Source]) -> bytes:
    """The bytes of upload.json for these files; the same bytes whatever their order."""
    entries = [source.model_dump(exclude={"bucket"}) for source in sorted(files, key=lambda source: source.key)]
    return canonical_json({"files": entries})
