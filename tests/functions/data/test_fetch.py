"""modelmill.aws.uploads: one file or several, on disk below one folder, in the versions that were announced."""

import json
from pathlib import Path
from typing import Any

import pytest

from modelmill.aws import objects, uploads
from modelmill.aws.clients import client
from modelmill.core.errors import Rejected
from modelmill.core.limits import FETCH_BYTES
from tests.functions.data.conftest import UPLOADS

pytestmark = pytest.mark.usefixtures("aws")
FOLDER = "default/reviews/u1/"
FILES = {"train/a.csv": b"x,y\n1,2\n", "train/图/b.csv": b"", "c.csv": b"3"}


@pytest.fixture
def several() -> dict[str, Any]:
    client("s3").put_bucket_versioning(Bucket=UPLOADS, VersioningConfiguration={"Status": "Enabled"})
    for name, data in FILES.items():
        objects.put(UPLOADS, f"{FOLDER}files/{name}", data)
    return marker([{"key": f"{FOLDER}files/{name}"} for name in reversed(FILES)])


def marker(files: list[dict[str, Any]]) -> dict[str, Any]:
    objects.put(UPLOADS, f"{FOLDER}upload.json", json.dumps({"files": files}).encode())
    head = objects.head(UPLOADS, f"{FOLDER}upload.json")
    return {"bucket": UPLOADS, "key": f"{FOLDER}upload.json", "version_id": head.get("VersionId"), "size": 1}


def test_one_file_is_fetched_under_its_name(tmp_path: Path) -> None:
    objects.put(UPLOADS, f"{FOLDER}a.csv", b"x")
    upload = {"bucket": UPLOADS, "key": f"{FOLDER}a.csv", "version_id": None, "size": 1}
    ((path, name),) = uploads.fetch(upload, tmp_path)
    assert (path.read_bytes(), name) == (b"x", "a.csv")
    (source,) = uploads.sources(upload)
    assert (source.key, source.size, source.version_id) == (upload["key"], 1, "")


def test_several_files_are_fetched_by_name_whatever_their_order(several: dict[str, Any], tmp_path: Path) -> None:
    fetched = uploads.fetch(several, tmp_path)
    assert [name for _, name in fetched] == sorted(FILES)
    assert all(path == tmp_path / name and path.read_bytes() == FILES[name] for path, name in fetched)


def test_what_was_replaced_or_removed_meanwhile_is_still_there_in_its_version(
    several: dict[str, Any], tmp_path: Path
) -> None:
    found = uploads.sources(several)
    assert found[0].key == several["key"]
    assert all(source.version_id and source.etag for source in found)
    objects.put(UPLOADS, f"{FOLDER}files/c.csv", b"replaced")
    client("s3").delete_object(Bucket=UPLOADS, Key=f"{FOLDER}files/train/a.csv")
    objects.put(UPLOADS, several["key"], b"{}")
    for path, name in uploads.fetch(several, tmp_path, found):
        assert path.read_bytes() == FILES[name]


def test_what_is_too_large_together_is_not_fetched(several: dict[str, Any], tmp_path: Path) -> None:
    large = {"version_id": "v", "etag": "e", "size": FETCH_BYTES // 2 + 1}
    upload = marker([{"key": f"{FOLDER}files/{name}", **large} for name in ("a", "b")])
    with pytest.raises(Rejected) as refusal:
        uploads.fetch(upload, tmp_path)
    assert (refusal.value.code, refusal.value.limit) == ("file_too_large", FETCH_BYTES)
    assert list(tmp_path.iterdir()) == []
    assert several


def test_the_recipe_of_several_files_lies_beside_their_list(several: dict[str, Any]) -> None:
    assert uploads.recipe_bytes(several) is None
    objects.put(UPLOADS, f"{FOLDER}recipe.yaml", b"seed: 1")
    assert uploads.recipe_bytes(several) == b"seed: 1"
