"""modelmill.aws.objects: bytes in S3, by key and version."""

from pathlib import Path

import boto3
import pytest
import requests

from modelmill.aws import objects
from tests.contract.world import DATA, UPLOADS


def test_what_is_put_is_got_and_found() -> None:
    objects.put(DATA, "a/b", b"bytes", "text/plain")
    assert objects.get(DATA, "a/b") == b"bytes" == objects.find(DATA, "a/b")
    assert objects.head(DATA, "a/b")["ContentLength"] == 5


def test_what_is_not_there_is_a_missing_file() -> None:
    assert objects.find(DATA, "nothing") is None
    for call in (objects.get, objects.head):
        with pytest.raises(FileNotFoundError, match="s3://data/nothing"):
            call(DATA, "nothing")
    with pytest.raises(FileNotFoundError):
        objects.copy((DATA, "nothing"), (UPLOADS, "copy"))


def test_an_older_version_can_still_be_read_and_copied() -> None:
    objects.put(UPLOADS, "file", b"first")
    first = objects.head(UPLOADS, "file")["VersionId"]
    objects.put(UPLOADS, "file", b"second")
    assert objects.get(UPLOADS, "file", first) == b"first"
    objects.copy((UPLOADS, "file"), (DATA, "copy"), first)
    assert objects.get(DATA, "copy") == b"first"


def test_files_go_up_and_come_down(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 3_000_000)
    objects.upload(DATA, "big", source)
    objects.download(DATA, "big", tmp_path / "new" / "target")
    assert (tmp_path / "new" / "target").read_bytes() == source.read_bytes()


def test_keys_are_listed_past_one_page() -> None:
    for index in range(1_005):
        objects.put(DATA, f"many/{index:04}", b"")
    objects.put(DATA, "other", b"")
    assert len(list(objects.keys(DATA, "many/"))) == 1_005


def test_a_presigned_link_puts_and_gets_without_credentials() -> None:
    key = "default/评论/first/数据 1.csv"
    assert requests.put(objects.presigned_put(UPLOADS, key), data=b"a,b\n", timeout=5).status_code == 200
    assert objects.get(UPLOADS, key) == b"a,b\n"
    assert requests.get(objects.presigned_get(UPLOADS, key), timeout=5).content == b"a,b\n"


def test_delete_all_leaves_no_version_and_nothing_else_goes() -> None:
    for key in ("t/a/1", "t/a/1", "t/a/2", "t/ab/1"):
        objects.put(DATA, key, key.encode())
    boto3.client("s3").delete_object(Bucket=DATA, Key="t/a/2")
    objects.delete_all(DATA, "t/a/")
    left = boto3.client("s3").list_object_versions(Bucket=DATA)
    assert [entry["Key"] for entry in left["Versions"]] == ["t/ab/1"]
    assert "DeleteMarkers" not in left
    objects.delete_all(DATA, "t/a/")
