"""Uploaded files: `{"bucket", "key", "version_id", "size"}` in; the files on disk, what they were, and the recipe out.

`key` is the file's, or that of `upload.json`, which lists the files of an upload of several.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from modelmill.aws import objects
from modelmill.aws.remote import Remote
from modelmill.core.data.sources import Source, read_marker
from modelmill.core.errors import Rejected
from modelmill.core.limits import FETCH_BYTES, MARKER_BYTES, MIB, RECIPE_BYTES
from modelmill.core.names import UploadKey

_THREADS = 8
"""Small files wait for S3, not for this machine. A client of botocore takes 10 connections."""


def sources(upload: dict[str, Any]) -> list[Source]:
    """The object that was announced, and then, if it is an upload's list, each of the files by name.

    Every one has its size, ETag and version. Raises Rejected: upload_missing, bad_upload_marker, and what names can be.
    """
    announced = _resolved(Source(bucket=upload["bucket"], key=upload["key"], version_id=upload.get("version_id") or ""))
    key = UploadKey.parse(announced.key)
    if not key.is_marker:
        return [announced]
    if (announced.size or 0) > MARKER_BYTES:
        raise Rejected("bad_upload_marker", f"upload.json has {announced.size:,} bytes", limit=MARKER_BYTES)
    data = objects.get(announced.bucket, announced.key, announced.version_id or None)
    files = read_marker(data, announced.bucket, key)
    with ThreadPoolExecutor(_THREADS) as pool:
        return [announced, *pool.map(_resolved, files)]


def _resolved(source: Source) -> Source:
    """The source with what its list left out."""
    if source.size is not None and source.version_id and source.etag:
        return source
    try:
        head = objects.head(source.bucket, source.key, source.version_id or None)
    except FileNotFoundError:
        raise _missing(source) from None
    if source.size is not None and source.size != head["ContentLength"]:
        raise Rejected(
            "bad_upload_marker", f"{source.key[:200]!r} has {head['ContentLength']:,} bytes, not {source.size:,}"
        )
    known = {"version_id": head.get("VersionId", ""), "size": head["ContentLength"], "etag": head["ETag"].strip('"')}
    return source.model_copy(update=known)


def fetch(upload: dict[str, Any], folder: Path, found: Sequence[Source] | None = None) -> list[tuple[Path, str]]:
    """Write the upload's files below `folder`: each file's path and its name within the upload, by name.

    A file of several lies at `folder / name`. `found` are the upload's `sources` if the caller has them. Raises
    Rejected: file_too_large, upload_missing, and what `sources` raises.
    """
    wanted = named(found or sources(upload))
    total = sum(source.size or 0 for source, _ in wanted)
    if total > FETCH_BYTES:
        raise Rejected(
            "file_too_large",
            f"the upload has {total / MIB:,.0f} MiB",
            limit=FETCH_BYTES,
            hint=f"at most {FETCH_BYTES // MIB} MiB: gzip it, or upload a sample of the rows",
        )
    # A name that a person chose is none for a file of ours, unless it must be told from others.
    placed = [(folder / (name if len(wanted) > 1 else "upload"), name) for _, name in wanted]
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(_download, [source for source, _ in wanted], [path for path, _ in placed]))
    return placed


def named(found: Sequence[Source]) -> list[tuple[Source, str]]:
    """The files among an upload's `sources`, each with its name within the upload."""
    announced, *files = found
    if not files:
        return [(announced, PurePosixPath(announced.key).name)]
    folder = UploadKey.parse(announced.key).files
    return [(source, source.key.removeprefix(folder)) for source in files]


def remote(source: Source) -> Path:
    """A file of an upload where it lies, to be read in ranges."""
    return Remote(source.bucket, source.key, source.version_id, source.size or 0).as_path()


def _download(source: Source, path: Path) -> None:
    try:
        objects.download(source.bucket, source.key, path, source.version_id or None)
    except FileNotFoundError:
        raise _missing(source) from None


def _missing(source: Source) -> Rejected:
    file = PurePosixPath(source.key).name
    return Rejected("upload_missing", f"{file[:200]!r} was removed meanwhile", hint="upload it again")


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
