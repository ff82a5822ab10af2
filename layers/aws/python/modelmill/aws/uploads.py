"""Uploaded files: `{"bucket", "key", "version_id", "size"}` in; the file on disk and its recipe's bytes out."""

from pathlib import Path
from typing import Any

from modelmill.aws import objects
from modelmill.core.errors import Rejected
from modelmill.core.limits import MIB, RECIPE_BYTES, UPLOAD_BYTES
from modelmill.core.names import UploadKey


def download(upload: dict[str, Any], path: Path) -> Path:
    """Write the file to `path` and return it; raises Rejected: file_too_large, upload_missing."""
    place = upload["bucket"], upload["key"]
    try:
        size = objects.head(*place, upload.get("version_id"))["ContentLength"]
        if size > UPLOAD_BYTES:
            raise Rejected(
                "file_too_large",
                f"the file has {size / MIB:,.0f} MiB",
                limit=UPLOAD_BYTES,
                hint=f"at most {UPLOAD_BYTES // MIB} MiB: gzip it, or upload a sample of the rows",
            )
        objects.download(*place, path, upload.get("version_id"))
    except FileNotFoundError:
        raise Rejected("upload_missing", "the file was removed meanwhile", hint="upload it again") from None
    return path


def recipe_bytes(upload: dict[str, Any]) -> bytes | None:
    """The recipe in the upload's folder, or None; raises Rejected (`bad_recipe`, `bad_upload_key`)."""
    place = upload["bucket"], UploadKey.parse(upload["key"]).recipe_key
    try:
        size = objects.head(*place)["ContentLength"]
        if size > RECIPE_BYTES:
            raise Rejected("bad_recipe", f"the recipe has {size:,} bytes", limit=RECIPE_BYTES)
        return objects.get(*place)
    except FileNotFoundError:
        return None
