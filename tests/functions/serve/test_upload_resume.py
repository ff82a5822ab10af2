"""The client, the control function and the emulator's S3 over real HTTP: an upload that is cut off is gone on with."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest

from modelmill.aws import multipart, objects
from modelmill.client import Modelmill, ModelmillError
from modelmill.core.limits import MULTIPART_BYTES, PART_BYTES
from tests.contract.gateway import Control
from tests.contract.world import UPLOADS, emulated_world, load_function
from tests.functions.rie.world import running

CONTROL = Control(load_function("serve/control"))


class Line(httpx.BaseTransport):
    """Calls of the API go to the function, the others to S3. The line is cut once `left` bodies were put there."""

    def __init__(self) -> None:
        self.s3, self.lock = httpx.HTTPTransport(), threading.Lock()
        self.left: int | None = None
        self.arrived = 0
        self.put: list[str] = []
        self.faults = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "api":
            sent = {name: value for name, value in request.headers.items() if name == "idempotency-key"}
            target = unquote(request.url.raw_path.decode())
            reply = CONTROL.send(request.method, target, request.read().decode() or None, **sent)
            return httpx.Response(reply["statusCode"], content=reply["body"])
        if self.faults:
            self.faults -= 1
            raise httpx.ReadError("broken")
        with self.lock:
            cut = self.left == len(self.put)
            if not cut:
                self.put.append(request.url.params.get("partNumber", request.url.path))
        if cut:
            while self.arrived < len(self.put):
                time.sleep(0.01)
            raise KeyboardInterrupt
        answer = self.s3.handle_request(request)
        with self.lock:
            self.arrived += 1
        return answer


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("emulator")) as world:
        yield world.endpoint


@pytest.fixture
def line(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Line]:
    monkeypatch.setenv("MODELMILL_HOME", str(tmp_path / "home"))
    found = Line()
    with emulated_world(monkeypatch, endpoint):
        yield found
    found.s3.close()


def memories(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "home" / "uploads").glob("*.json"))


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.csv"
    path.write_bytes(b"".join(bytes([65 + n]) * PART_BYTES for n in range(4)) + b"the end")
    assert path.stat().st_size > MULTIPART_BYTES
    return path


@pytest.mark.parametrize("sent", [0, 1, 3])
def test_what_was_sent_before_the_line_was_cut_is_not_sent_again(
    line: Line, large: Path, tmp_path: Path, sent: int
) -> None:
    line.left = sent
    with Modelmill("http://api", "t", transport=line) as mill, pytest.raises(KeyboardInterrupt):
        mill.upload("reviews", large)
    assert len(memories(tmp_path)) == 1
    (key, upload_id), *others = multipart.begun(UPLOADS, "")
    there = multipart.parts(UPLOADS, key, upload_id)
    assert not others
    assert len(there) == sent
    line.left, line.put, seen = None, [], []
    with Modelmill("http://api", "t", transport=line) as mill:
        upload = mill.upload("reviews", large, progress=lambda done, size: seen.append((done, size)))
    assert upload.key == key
    assert sorted(line.put) == sorted(str(n) for n in range(1, 6) if n not in there)
    assert objects.get(UPLOADS, key) == large.read_bytes()
    assert seen[-1] == (large.stat().st_size, large.stat().st_size)
    assert memories(tmp_path) == []


def test_a_fault_of_the_line_is_tried_again(line: Line, large: Path) -> None:
    line.faults = 3
    with Modelmill("http://api", "t", transport=line) as mill:
        assert objects.get(UPLOADS, mill.upload("reviews", large).key) == large.read_bytes()


def test_a_file_that_changed_since_is_another_upload(line: Line, large: Path) -> None:
    line.left = 1
    with Modelmill("http://api", "t", transport=line) as mill, pytest.raises(KeyboardInterrupt):
        mill.upload("reviews", large)
    with large.open("ab") as file:
        file.write(b" and more")
    line.left, line.put = 99, []
    with Modelmill("http://api", "t", transport=line) as mill:
        assert objects.get(UPLOADS, mill.upload("reviews", large).key) == large.read_bytes()
    assert len(line.put) == 5


def test_a_file_that_changes_meanwhile_is_not_completed(line: Line, large: Path) -> None:
    def change(done: int, _: int) -> None:
        if done > PART_BYTES:
            large.touch()

    with Modelmill("http://api", "t", transport=line) as mill, pytest.raises(ModelmillError) as refusal:
        mill.upload("reviews", large, progress=change)
    assert refusal.value.code == "file_changed"
    assert list(objects.keys(UPLOADS, "default/reviews/")) == [
        key for key in objects.keys(UPLOADS, "") if "plan" in key
    ]


def test_a_folder_is_gone_on_with_file_by_file(line: Line, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for name in ("train/a.csv", "train/b.csv", "test/评论.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")
    line.left = 2
    with Modelmill("http://api", "t", transport=line) as mill, pytest.raises(KeyboardInterrupt):
        mill.upload("reviews", folder)
    there = [key for key in objects.keys(UPLOADS, "") if "/files/" in key]
    assert not [key for key in objects.keys(UPLOADS, "") if key.endswith("upload.json")]
    line.left, line.put = None, []
    with Modelmill("http://api", "t", transport=line) as mill:
        upload = mill.upload("reviews", folder)
    assert (len(there), len(line.put)) == (2, 1)
    listed = json.loads(objects.get(UPLOADS, upload.key))["files"]
    base = upload.key.replace("upload.json", "files/")
    assert {one["key"].removeprefix(base) for one in listed} == {"train/a.csv", "train/b.csv", "test/评论.csv"}
    for one in listed:
        assert objects.get(UPLOADS, one["key"], one["version_id"]).decode() == one["key"].removeprefix(base)
