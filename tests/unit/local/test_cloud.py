"""up, down, crash, recovery: what a user of the local cloud relies on, on a real emulator."""

import json
import os
import signal
import socket
import stat
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelmill.aws import objects
from modelmill.aws.clients import client
from modelmill.aws.metrics import Query, statistics
from modelmill.aws.records import keys, pipelines, table
from modelmill.local import cloud, process
from modelmill.local.connect import connected
from tests.unit.local.conftest import Toy


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.1)
    return found


def kill(toy: Toy) -> None:
    pid = process.running(toy.home, toy.cloud["port"])
    assert pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: process.running(toy.home, toy.cloud["port"]) is None)


def test_cloud_json_opens_it_and_is_for_the_owner_alone(toy: Toy) -> None:
    file = toy.home / "cloud.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    status = cloud.status(toy.home)
    assert status == {"running": True, **json.loads(file.read_text(encoding="utf-8"))}
    assert status["url"].startswith(f"http://127.0.0.1:{status['port']}/_aws/execute-api/")
    with connected(status):
        assert keys.find(status["token"]) == keys.find(status["token"])
        found = keys.find(status["token"])
        assert found is not None
        assert found["tenant"] == "default"


def test_everything_listens_on_loopback_only(toy: Toy) -> None:
    pid = process.running(toy.home, toy.cloud["port"])
    sockets = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    addresses = []
    for table_file in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table_file}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:  # 0A: LISTEN
                addresses.append(fields[1].split(":")[0])
    assert addresses
    assert set(addresses) == {"0100007F"}


def test_a_web_page_cannot_reach_it(toy: Toy) -> None:
    port = toy.cloud["port"]
    health = f"http://127.0.0.1:{port}/_ministack/health"
    assert httpx.get(health).status_code == 200
    assert httpx.get(health, headers={"Origin": "https://example.com"}).status_code == 403
    assert httpx.get(health, headers={"Host": f"rebound.example.com:{port}"}).status_code == 403
    assert httpx.post(f"http://127.0.0.1:{port}/_ministack/reset").status_code == 403


def test_a_second_up_changes_nothing_and_is_quick(toy: Toy) -> None:
    before = dict(toy.cloud)
    started = time.monotonic()
    assert toy.up() == before
    assert time.monotonic() - started < 3
    assert toy.said == []


def test_emf_lines_of_a_function_become_metrics(toy: Toy, aws: Any) -> None:
    for count in (3, 4):
        reply = aws("lambda").invoke(FunctionName="toy-function", Payload=json.dumps({"tenant": "t", "count": count}))
        assert "FunctionError" not in reply
    queries = [Query("Predictions", {"tenant": tenant}, "Sum") for tenant in ("t", "u")]
    until(lambda: statistics(queries, timedelta(hours=1)) == [7, None])
    logged = aws("logs").filter_log_events(logGroupName="/aws/lambda/toy-function")["events"]
    assert any('"_aws"' in event["message"] for event in logged)
    assert toy.cloud["running"]


def test_state_survives_down_and_up(toy: Toy) -> None:
    with connected(toy.cloud):
        objects.put(toy.cloud["data_bucket"], "kept", b"bytes")
        table.put("p", "s", {"a": 1})
    before = dict(toy.cloud)
    assert toy.down()
    assert cloud.status(toy.home) == {"running": False}
    assert not toy.down()
    assert toy.up() == before
    assert toy.said == ["starting the local cloud"]
    with connected(toy.cloud):
        assert objects.get(toy.cloud["data_bucket"], "kept") == b"bytes"
        assert table.get("p", "s") == {"a": 1}


def test_a_kill_loses_seconds_and_says_so(toy: Toy) -> None:
    before = dict(toy.cloud)
    with connected(toy.cloud):
        pipelines.start("default", "20260101T000000-0000000000", {"dataset": "d"})
        process.save_all(toy.cloud["port"])
        table.put("p", "after the snapshot", {"a": 2})
        objects.put(toy.cloud["data_bucket"], "late", b"late")
    kill(toy)
    assert toy.up() == before
    assert toy.said[0].startswith("the local cloud was not stopped cleanly: records are those of 20")
    assert any("20260101T000000-0000000000 was interrupted" in line for line in toy.said)
    with connected(toy.cloud):
        assert table.get("p", "s") == {"a": 1}
        assert table.get("p", "after the snapshot") is None
        assert objects.get(toy.cloud["data_bucket"], "late") == b"late"
        run = pipelines.get("default", "20260101T000000-0000000000")
    assert run is not None
    assert (run["status"], run["reason"]["code"]) == ("FAILED", "interrupted")


def test_changes_are_saved_without_being_asked(toy: Toy) -> None:
    with connected(toy.cloud):
        table.put("p", "saved by itself", {"a": 3})
    file = toy.home / "state" / "dynamodb.json"
    until(lambda: "saved by itself" in file.read_text(encoding="utf-8"), seconds=30)


@pytest.mark.parametrize("torn", ["cloudformation.json", "dynamodb.json"])
def test_a_torn_state_file_is_set_aside_and_the_rest_recovered(toy: Toy, torn: str) -> None:
    token = toy.cloud["token"]
    with connected(toy.cloud):
        table.put("p", torn, {"a": 4})
        objects.put(toy.cloud["models_bucket"], torn, b"kept")
    process.save_all(toy.cloud["port"])
    kill(toy)
    file = toy.home / "state" / torn
    file.write_bytes(file.read_bytes()[:-100])
    toy.up()
    assert any(f"torn state files ({torn})" in line for line in toy.said)
    assert toy.cloud["token"] == token
    with connected(toy.cloud):
        assert keys.find(token) is not None
        assert objects.get(toy.cloud["models_bucket"], torn) == b"kept"
        assert table.get("p", torn) == (None if torn == "dynamodb.json" else {"a": 4})


def test_a_foreign_program_on_the_port_moves_it_to_the_next(toy: Toy, tmp_path: Path) -> None:
    other = Toy(tmp_path / "home", toy.assembly)
    (other.home / "cloud.json").write_text(json.dumps({"port": toy.cloud["port"]}), encoding="utf-8")
    try:
        assert other.up()["port"] > toy.cloud["port"]
    finally:
        other.down()


def test_what_was_deployed_moves_to_another_port_with_its_queues(toy: Toy, aws: Any) -> None:
    url = aws("sqs").create_queue(QueueName="toy-queue")["QueueUrl"]
    before = toy.cloud["port"]
    assert str(before) in url
    aws("sqs").send_message(QueueUrl=url, MessageBody="kept")
    assert toy.down()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", before))
        taken.listen()
        toy.up()
    assert toy.cloud["port"] > before
    assert toy.said[0].startswith(f"port {before} is taken by another program")
    with connected(toy.cloud):
        moved = client("sqs").get_queue_url(QueueName="toy-queue")["QueueUrl"]
        assert client("sqs").receive_message(QueueUrl=moved)["Messages"][0]["Body"] == "kept"
