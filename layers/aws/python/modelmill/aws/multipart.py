"""S3 multipart uploads: S3 itself is the only state, so that anybody can go on with an upload, or drop it.

An object that is being uploaded in parts is known by its key. Should two uploads of one key have been begun at once,
everybody takes the one that began first; S3's own rule sweeps the other away.
"""

from collections.abc import Iterator
from typing import NamedTuple, cast

from botocore.exceptions import ClientError

from modelmill.aws.clients import client
from modelmill.core.limits import PRESIGNED_SECONDS


class Part(NamedTuple):
    """A part that S3 has: its number from 1, its ETag without quotes, its bytes."""

    number: int
    etag: str
    size: int


def begun(bucket: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Key and S3's upload id of every upload in parts whose key begins with `prefix`, the oldest of a key first."""
    pages = client("s3").get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
    found = [each for page in pages for each in page.get("Uploads", [])]
    for each in sorted(found, key=lambda one: (one["Key"], one["Initiated"], one["UploadId"])):
        yield each["Key"], each["UploadId"]


def find(bucket: str, key: str) -> str | None:
    """S3's id of the upload of this key that is under way, or None."""
    return next((upload_id for each, upload_id in begun(bucket, key) if each == key), None)


def find_or_begin(bucket: str, key: str) -> str:
    """S3's id of the upload of this key, which is begun if it is not under way."""
    found = find(bucket, key)
    if found is None:
        client("s3").create_multipart_upload(Bucket=bucket, Key=key)
        found = find(bucket, key)
    if found is None:
        raise OSError(f"the upload of s3://{bucket}/{key} is not listed")
    return found


def parts(bucket: str, key: str, upload_id: str) -> dict[int, Part]:
    """The parts that S3 has, by number; none if the upload was completed or dropped meanwhile."""
    pages = client("s3").get_paginator("list_parts").paginate(Bucket=bucket, Key=key, UploadId=upload_id)
    try:
        listed = [part for page in pages for part in page.get("Parts", [])]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchUpload":
            return {}
        raise
    found = [Part(one["PartNumber"], one["ETag"].strip('"'), one["Size"]) for one in listed]
    return {part.number: part for part in found}


def presigned_part(bucket: str, key: str, upload_id: str, number: int) -> str:
    """A link to which anyone may PUT this part for PRESIGNED_SECONDS."""
    params = {"Bucket": bucket, "Key": key, "UploadId": upload_id, "PartNumber": number}
    return cast(str, client("s3").generate_presigned_url("upload_part", Params=params, ExpiresIn=PRESIGNED_SECONDS))


def complete(bucket: str, key: str, upload_id: str, chosen: list[Part]) -> None:
    """Make the object of its parts. Again after it was made is fine."""
    listed = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in sorted(chosen)]
    try:
        client("s3").complete_multipart_upload(
            Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": listed}
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise


def drop_all(bucket: str, prefix: str) -> None:
    """Drop every upload in parts whose key begins with `prefix`, with the parts that S3 has of it."""
    for key, upload_id in begun(bucket, prefix):
        try:
            client("s3").abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise
