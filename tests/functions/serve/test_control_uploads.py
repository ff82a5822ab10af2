"""Uploads in parts and of several files: over the control plane and links that lead straight to (moto's) S3."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from modelmill.aws import multipart, objects, uploads
from modelmill.aws.clients import client
from modelmill.core.data.sources import read_marker
from modelmill.core.errors import Rejected
from modelmill.core.limits import MIB, MULTIPART_BYTES, PART_BYTES
from modelmill.core.names import UploadKey
from tests.contract.gateway import Control
from tests.contract.world import UPLOADS, load_function, moto_world

HANDLER = load_function("serve/control")
BASE = "/v1/datasets/reviews/uploads"
LARGE = b"0123456789abcdef" * (PART_BYTES // 16) + b"the end"


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    with moto_world(monkeypatch):
        yield Control(HANDLER)


def begin(control: Control, body: dict[str, Any], **headers: str) -> tuple[str, dict[str, Any]]:
    status, answer = control("POST", BASE, body, **headers)
    assert status == 201, answer
    return f"{BASE}/{answer['upload_id']}", answer


def in_parts(control: Control, **more: Any) -> tuple[str, dict[str, Any]]:
    return begin(control, {"file": "a.csv", "size": len(LARGE), "multipart": True, **more})


def send(control: Control, path: str, numbers: list[int]) -> list[dict[str, Any]]:
    links = control("POST", f"{path}/parts", {"numbers": numbers})[1]["links"]
    sent = []
    for link in links:
        start = (link["number"] - 1) * PART_BYTES
        answer = requests.put(link["url"], data=LARGE[start : start + PART_BYTES], timeout=20)
        assert answer.status_code == 200
        sent.append({"number": link["number"], "etag": answer.headers["ETag"]})
    return sent


def several(control: Control, files: dict[str, bytes]) -> tuple[str, dict[str, Any]]:
    return begin(control, {"files": [{"file": name, "size": len(data)} for name, data in files.items()]})


def send_files(control: Control, path: str, files: dict[str, bytes]) -> None:
    for link in control("POST", f"{path}/parts", {"files": list(files)})[1]["links"]:
        assert requests.put(link["url"], data=files[link["file"]], timeout=20).status_code == 200


# --- one file in parts


def test_a_file_goes_in_parts_and_s3_knows_what_is_missing(control: Control) -> None:
    path, begun = in_parts(control, recipe={"seed": 8})
    assert begun["files"] == [{"file": "a.csv", "size": len(LARGE), "part_bytes": PART_BYTES, "parts": 2}]
    assert begun["key"].endswith("/a.csv")
    assert "url" not in begun
    second = send(control, path, [2])
    state = control("GET", path)[1]
    (file,) = state["files"]
    assert (state["status"], file["stored"]) == ("open", False)
    assert file["uploaded_parts"] == [{"number": 2, "etag": second[0]["etag"].strip('"'), "size": 7}]
    assert control.error("POST", f"{path}/complete", {})[:2] == (409, "parts_missing")
    first = send(control, path, [1])
    for _ in range(2):
        status, done = control("POST", f"{path}/complete", {"parts": [*second, *first]})
        assert (status, done["status"], done["key"]) == (200, "complete", begun["key"])
    assert objects.get(UPLOADS, begun["key"]) == LARGE
    assert control("GET", path)[1]["status"] == "complete"
    assert objects.find(UPLOADS, begun["key"].replace("a.csv", "recipe.yaml")) == b"seed: 8\n"
    assert control.error("DELETE", path)[:2] == (409, "upload_complete")


def test_large_files_are_sent_in_parts_and_small_ones_are_not(control: Control) -> None:
    assert "url" in begin(control, {"file": "a.csv", "size": MULTIPART_BYTES})[1]
    assert begin(control, {"file": "a.csv", "size": MULTIPART_BYTES + 1})[1]["files"][0]["parts"] == 5
    assert "url" in begin(control, {"file": "a.csv", "size": 0, "multipart": True})[1]


def test_a_part_that_was_replaced_or_has_another_size_is_not_taken(control: Control) -> None:
    path, _ = in_parts(control)
    sent = send(control, path, [1, 2])
    wrong = {"parts": [{"number": 1, "etag": "0" * 32}]}
    assert control.error("POST", f"{path}/complete", wrong)[:2] == (409, "wrong_part")
    link = control("POST", f"{path}/parts", {"numbers": [2]})[1]["links"][0]
    assert requests.put(link["url"], data=b"another end", timeout=20).status_code == 200
    assert control.error("POST", f"{path}/complete", {})[:2] == (409, "parts_missing")
    assert control.error("POST", f"{path}/complete", {"parts": sent})[:2] == (409, "wrong_part")


def test_an_upload_is_dropped_with_all_its_parts(control: Control) -> None:
    path, begun = in_parts(control)
    send(control, path, [1])
    assert control("DELETE", path) == (200, {"aborted": begun["upload_id"]})
    assert list(multipart.begun(UPLOADS, "")) == []
    assert list(objects.keys(UPLOADS, "")) == []
    assert control.error("GET", path)[:2] == (404, "not_found")


def test_deleting_a_dataset_drops_what_is_on_its_way(control: Control) -> None:
    path, _ = in_parts(control)
    send(control, path, [1])
    assert control("DELETE", "/v1/datasets/reviews")[0] == 200
    assert list(multipart.begun(UPLOADS, "")) == []


def test_the_same_idempotency_key_is_the_same_upload_and_no_other(control: Control) -> None:
    body = {"file": "a.csv", "size": len(LARGE), "multipart": True}
    path, begun = begin(control, body, Idempotency_Key="k")
    assert begin(control, body, Idempotency_Key="k")[1] == begun
    assert control.error("POST", BASE, body | {"size": 5}, Idempotency_Key="k")[1] == "idempotency_key_reused"
    for _ in range(2):
        assert control("POST", f"{path}/parts", {"numbers": [1]}, Idempotency_Key="l")[0] == 200
    again = control.error("POST", f"{path}/parts", {"numbers": [2]}, Idempotency_Key="l")
    assert again[:2] == (422, "idempotency_key_reused")
    assert len(list(multipart.begun(UPLOADS, ""))) == 1


# --- several files


FILES = {"train/a.csv": b"x,y\n1,2\n", "test/评论 b.csv": b"x,y\n3,4\n"}


def test_several_files_end_with_a_list_of_them_with_their_versions(control: Control) -> None:
    path, begun = several(control, FILES)
    folder = f"default/reviews/{begun['upload_id']}"
    assert begun["key"] == f"{folder}/upload.json"
    assert control.error("POST", f"{path}/complete", {})[:2] == (409, "files_missing")
    send_files(control, path, FILES)
    assert objects.find(UPLOADS, begun["key"]) is None
    for _ in range(2):
        assert control("POST", f"{path}/complete", {})[1]["status"] == "complete"
    marker = objects.get(UPLOADS, begun["key"])
    sources = read_marker(marker, UPLOADS, UploadKey.parse(begun["key"]))
    assert [source.key for source in sources] == [f"{folder}/files/{name}" for name in sorted(FILES)]
    for source in sources:
        head = objects.head(UPLOADS, source.key, source.version_id)
        assert (source.size, f'"{source.etag}"') == (head["ContentLength"], head["ETag"])
    # The list was written once: a second write would start a second run.
    versions = client("s3").list_object_versions(Bucket=UPLOADS, Prefix=begun["key"])["Versions"]
    assert len(versions) == 1
    assert control.error("DELETE", path)[:2] == (409, "upload_complete")


def test_a_large_file_among_several_goes_in_parts(control: Control) -> None:
    size = MULTIPART_BYTES + 1
    path, begun = begin(control, {"files": [{"file": "a/large.csv", "size": size}, {"file": "b.csv", "size": 1}]})
    assert [file["parts"] for file in begun["files"]] == [5, None]
    assert control.error("POST", f"{path}/parts", {"numbers": [1]})[:2] == (422, "which_file")
    assert control.error("POST", f"{path}/parts", {"files": ["a/large.csv"]})[:2] == (422, "in_parts")
    assert control.error("POST", f"{path}/parts", {"file": "b.csv", "numbers": [1]})[:2] == (422, "no_parts")
    for number in range(1, 6):
        body = {"file": "a/large.csv", "numbers": [number]}
        (link,) = control("POST", f"{path}/parts", body)[1]["links"]
        requests.put(link["url"], data=bytes(PART_BYTES if number < 5 else 1), timeout=20)
    assert control("POST", f"{path}/complete", {"file": "a/large.csv"})[1]["status"] == "open"
    send_files(control, path, {"b.csv": b"x"})
    (file,) = control("GET", f"{path}?file=a/large.csv")[1]["files"]
    assert (file["stored"], file["uploaded_parts"]) == (True, None)
    assert control("POST", f"{path}/complete", {})[1]["status"] == "complete"


def test_a_run_over_several_files_can_be_started_again(control: Control) -> None:
    path, begun = several(control, FILES)
    send_files(control, path, FILES)
    control("POST", f"{path}/complete", {})
    status, run = control("POST", "/v1/pipelines", {"source": {"key": begun["key"]}})
    assert (status, run["upload"]["key"], run["dataset"]) == (202, begun["key"], "reviews")
    assert len(uploads.sources(run["upload"])) == 1 + len(FILES)
    objects.put(UPLOADS, begun["key"].replace("upload.json", "files/train/a.csv"), b"replaced")
    assert {source.size for source in uploads.sources(run["upload"])[1:]} == {8}


# --- what is wrong


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"files": []}, (422, "bad_request")),
        ({"files": [{"file": "a"}]}, (422, "bad_request")),
        ({"files": [{"file": "a", "size": -1}]}, (422, "bad_request")),
        ({"files": [{"file": "a", "size": 2**70}]}, (422, "bad_request")),
        ({"files": [{"file": "a", "size": 400 * MIB}] * 2}, (422, "duplicate_file")),
        ({"files": [{"file": str(n), "size": 2**59} for n in range(2)]}, (413, "upload_too_large")),
        ({"files": [{"file": "a", "size": 1}, {"file": "a/b", "size": 1}]}, (422, "duplicate_file")),
        ({"files": [{"file": "a", "size": 1}], "file": "b"}, (422, "bad_request")),
        ({"files": [{"file": "a", "size": 1}], "size": 1}, (422, "bad_request")),
        ({"files": [{"file": "a", "size": 1}] * 10_001}, (422, "bad_request")),
        *(
            ({"files": [{"file": name, "size": 1}]}, (422, "bad_file_name"))
            for name in ("../a", "/a", "a/", "a//b", "a/./b", "a\\b", "a\x00", "a\x7f/b", "é" * 128, "a/" * 500 + "b")
        ),
        ({"files": [{"file": "", "size": 1}]}, (422, "bad_request")),
        ({"files": [{"file": "\ud800", "size": 1}]}, (422, "bad_request")),
        ({"file": "upload.json"}, (422, "bad_file_name")),
        ({"file": "a/b.csv"}, (422, "bad_file_name")),
        ({"file": "a.csv", "multipart": True}, (422, "bad_request")),
        ({"file": "a.csv", "size": 2**59, "multipart": True}, (413, "upload_too_large")),
    ],
)
def test_a_bad_plan_is_refused_and_leaves_nothing(control: Control, body: Any, expected: tuple[int, str]) -> None:
    status, code, message = control.error("POST", BASE, body)
    assert (status, code) == expected
    assert message
    assert list(objects.keys(UPLOADS, "")) == []


@pytest.mark.parametrize(
    ("call", "body", "code"),
    [
        ("parts", {}, "bad_request"),
        ("parts", {"numbers": []}, "bad_request"),
        ("parts", {"numbers": [0]}, "bad_request"),
        ("parts", {"numbers": [3]}, "bad_part_number"),
        ("parts", {"numbers": [10_001]}, "bad_request"),
        ("parts", {"numbers": ["1"]}, "bad_request"),
        ("parts", {"numbers": [True]}, "bad_request"),
        ("parts", {"numbers": [1] * 1_001}, "bad_request"),
        ("parts", {"numbers": [1], "files": ["a.csv"]}, "bad_request"),
        ("parts", {"files": ["a.csv"]}, "in_parts"),
        ("parts", {"file": "b.csv", "numbers": [1]}, "not_found"),
        ("parts", {"file": "../a.csv", "numbers": [1]}, "not_found"),
        ("parts", {"file": "recipe.yaml", "numbers": [1]}, "not_found"),
        ("complete", {"parts": [{"number": 1}]}, "bad_request"),
        ("complete", {"parts": [{"number": 1, "etag": '"'}]}, "bad_request"),
        ("complete", {"parts": [{"number": 1, "etag": "<x>"}]}, "bad_request"),
        ("complete", {"parts": [{"number": 1, "etag": "a" * 200}]}, "bad_request"),
        ("complete", {"parts": [{"number": -1, "etag": "a"}]}, "bad_request"),
        ("complete", {"parts": [{"number": 1, "etag": "a"}] * 2}, "bad_part_number"),
        ("complete", {"parts": [{"number": 9, "etag": "a"}]}, "bad_part_number"),
        ("complete", {"parts": []}, "bad_request"),
        ("complete", {"file": "b.csv"}, "not_found"),
    ],
)
def test_a_bad_request_about_parts_is_refused(control: Control, call: str, body: Any, code: str) -> None:
    path, _ = in_parts(control)
    send(control, path, [1])
    status, found, message = control.error("POST", f"{path}/{call}", body)
    assert (found, bool(message)) == (code, True)
    assert status == (404 if code == "not_found" else 422)


@pytest.mark.parametrize(("path", "status"), [("none", 404), ("a..b", 422), ("x" * 65, 422), ("%00", 422)])
def test_an_upload_that_is_none_is_not_found(control: Control, path: str, status: int) -> None:
    assert control.error("GET", f"{BASE}/{path}")[0] == status
    assert control.error("DELETE", f"{BASE}/{path}")[0] == status
    assert control.error("POST", f"{BASE}/{path}/complete", {})[0] == status


# --- lists that anybody may write


def put_marker(document: Any) -> dict[str, Any]:
    key = "default/reviews/u1/upload.json"
    objects.put(UPLOADS, key, document if isinstance(document, bytes) else json.dumps(document).encode())
    return {"bucket": UPLOADS, "key": key, "version_id": None, "size": 1}


@pytest.mark.usefixtures("control")
@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"", "bad_upload_marker"),
        (b"[" * 100_000, "bad_upload_marker"),
        (b"\xff\xfe", "bad_upload_marker"),
        (b"[]", "bad_upload_marker"),
        ({"files": []}, "bad_upload_marker"),
        ({"files": [{"key": "default/other/u1/files/a"}]}, "bad_upload_marker"),
        ({"files": [{"key": "other/reviews/u1/files/a"}]}, "bad_upload_marker"),
        ({"files": [{"key": "default/reviews/u1/upload.json"}]}, "bad_upload_marker"),
        ({"files": [{"key": "default/reviews/u1/files/../../x"}]}, "bad_file_name"),
        ({"files": [{"key": "default/reviews/u1/files/"}]}, "bad_file_name"),
        ({"files": [{"key": "default/reviews/u1/files/a"}] * 2}, "duplicate_file"),
        ({"files": [{"key": "default/reviews/u1/files/none"}]}, "upload_missing"),
        ({"files": [{"key": "default/reviews/u1/files/a", "size": 99}]}, "bad_upload_marker"),
        ({"files": [{"key": "default/reviews/u1/files/a", "size": "1"}]}, "bad_upload_marker"),
    ],
)
def test_a_list_that_lies_is_rejected(document: Any, code: str) -> None:
    objects.put(UPLOADS, "default/reviews/u1/files/a", b"x")
    with pytest.raises(Rejected) as refusal:
        uploads.sources(put_marker(document))
    assert refusal.value.code == code
