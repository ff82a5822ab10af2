"""S3: keys in, bytes, streams and presigned links out."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

from modelmill.aws.clients import client
from modelmill.core.limits import MIB, PRESIGNED_SECONDS

_ATTEMPTS = 4
_MISSING = {"NoSuchKey", "404", "NotFound"}
# The second code: another write of the same key was under way, and won.
_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}


def get(bucket: str, key: str, version_id: str | None = None) -> bytes:
    """The object's bytes; raises FileNotFoundError if there is none."""
    extra = {"VersionId": version_id} if version_id else {}
    try:
        return cast(bytes, client("s3").get_object(Bucket=bucket, Key=key, **extra)["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            raise FileNotFoundError(f"s3://{bucket}/{key}") from error
        raise


def find(bucket: str, key: str) -> bytes | None:
    """The object's bytes, or None if there is none."""
    try:
        return get(bucket, key)
    except FileNotFoundError:
        return None


def head(bucket: str, key: str, version_id: str | None = None) -> dict[str, Any]:
    """S3's metadata of the object (`ContentLength`, `ETag`, `VersionId`); raises FileNotFoundError if there is none."""
    extra = {"VersionId": version_id} if version_id else {}
    try:
        return cast(dict[str, Any], client("s3").head_object(Bucket=bucket, Key=key, **extra))
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            raise FileNotFoundError(f"s3://{bucket}/{key}") from error
        raise


def download(bucket: str, key: str, path: Path, version_id: str | None = None) -> None:
    """Write the object to `path`; raises FileNotFoundError if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    extra = {"VersionId": version_id} if version_id else {}
    try:
        body = client("s3").get_object(Bucket=bucket, Key=key, **extra)["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            raise FileNotFoundError(f"s3://{bucket}/{key}") from error
        raise
    # Under another name until it is whole: who finds the file may believe it.
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        for chunk in body.iter_chunks(MIB):
            file.write(chunk)
    partial.replace(path)


def get_range(bucket: str, key: str, start: int, end: int, version_id: str | None = None) -> bytes:
    """The object's bytes from `start` to before `end`; raises FileNotFoundError if there is none."""
    extra = {"VersionId": version_id} if version_id else {}
    for attempt in count(1):
        try:
            asked = f"bytes={start}-{end - 1}"
            answer = client("s3").get_object(Bucket=bucket, Key=key, Range=asked, **extra)
            if "ContentRange" in answer:
                return cast(bytes, answer["Body"].read())
            # A server may answer with the whole (RFC 9110, 14.2); the emulator does for a version that is named.
            return cast(bytes, answer["Body"].read(end)[start:])
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise FileNotFoundError(f"s3://{bucket}/{key}") from error
            raise
        except (HTTPClientError, IncompleteReadError):
            # A body that breaks off is not asked for again by botocore itself.
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def put(
    bucket: str,
    key: str,
    data: bytes,
    content_type: str = "application/octet-stream",
    *,
    tag: tuple[str, str] | None = None,
) -> None:
    """Store bytes under a key."""
    extra = {"Tagging": urlencode([tag])} if tag else {}
    client("s3").put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type, **extra)


def put_new(bucket: str, key: str, data: bytes, content_type: str = "application/octet-stream") -> bool:
    """Store bytes under a key that has none yet; False, and nothing is stored, if somebody was first."""
    extra = {"ContentType": content_type, "IfNoneMatch": "*"}
    try:
        client("s3").put_object(Bucket=bucket, Key=key, Body=data, **extra)
    except ClientError as error:
        if error.response["Error"]["Code"] in _TAKEN:
            return False
        raise
    return True


def upload(bucket: str, key: str, path: Path, *, tag: tuple[str, str] | None = None) -> None:
    """Store a file under a key (multipart when it is large); a page for people is one that a browser shows."""
    extra = {"ContentType": "text/html; charset=utf-8"} if path.suffix == ".html" else {}
    if tag:
        extra["Tagging"] = urlencode([tag])
    client("s3").upload_file(str(path), bucket, key, ExtraArgs=extra)


def copy(source: tuple[str, str], target: tuple[str, str], version_id: str | None = None) -> None:
    """Copy an object inside S3; the bytes do not come here, and its tags do not come along.

    Raises FileNotFoundError if there is no source.
    """
    origin = {"Bucket": source[0], "Key": source[1], **({"VersionId": version_id} if version_id else {})}
    try:
        # A tag may say that the source is to be removed: that is not true of the copy.
        client("s3").copy(origin, *target, ExtraArgs={"TaggingDirective": "REPLACE"})
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            raise FileNotFoundError(f"s3://{source[0]}/{source[1]}") from error
        raise


def keys(bucket: str, prefix: str) -> Iterator[str]:
    """All keys that begin with `prefix`."""
    for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            yield entry["Key"]


def delete_all(bucket: str, prefix: str) -> None:
    """Remove every version of every object whose key begins with `prefix`, for good."""
    pages = client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        entries = page.get("Versions", []) + page.get("DeleteMarkers", [])
        doomed = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
        if not doomed:
            continue
        result = client("s3").delete_objects(Bucket=bucket, Delete={"Objects": doomed, "Quiet": True})
        if result.get("Errors"):
            first = result["Errors"][0]
            raise OSError(f"s3://{bucket}/{first['Key']} was not removed: {first['Code']}")


def presigned_put(bucket: str, key: str) -> str:
    """A link to which anyone may PUT this object for PRESIGNED_SECONDS."""
    params = {"Bucket": bucket, "Key": key}
    return cast(str, client("s3").generate_presigned_url("put_object", Params=params, ExpiresIn=PRESIGNED_SECONDS))


def presigned_get(bucket: str, key: str) -> str:
    """A link from which anyone may GET this object for PRESIGNED_SECONDS."""
    params = {"Bucket": bucket, "Key": key}
    return cast(str, client("s3").generate_presigned_url("get_object", Params=params, ExpiresIn=PRESIGNED_SECONDS))
