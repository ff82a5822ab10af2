"""The HTTP side over raw sockets: any split, pipelining, bad framing, limits, slow clients. Never a 5xx."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmill.serving.server.connection import BODY_BYTES, HEAD_BYTES, URL_BYTES, Deadlines
from modelmill.serving.server.folders import FolderRegistry
from modelmill.serving.server.keys import Keys
from modelmill.serving.server.service import Service
from modelmill.serving.server.steady import SteadyPlane
from tests.unit.serve.kit import text_package, write
from tests.unit.serve.running import Running, responses, running

BODY = json.dumps({"instances": [{"text": "good 好"}]}, ensure_ascii=False).encode()
PREDICT = b"POST /v1/models/reviews/predict HTTP/1.1\r\nhost: x\r\n"
WHOLE = PREDICT + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = PREDICT + b"transfer-encoding: chunked\r\n\r\n5\r\n" + BODY[:5] + b"\r\n%x;x=y\r\n" % (len(BODY) - 5)
CHUNKED += BODY[5:] + b"\r\n0\r\nauthorization: trailer\r\n\r\n"
LIVE = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("packages")
    write(folder / "reviews", text_package())
    plane = SteadyPlane(FolderRegistry(folder))
    plane.warm("default", "reviews")
    with running(Service(plane, Keys(None))) as server:
        yield server


@pytest.fixture(scope="module")
def expected(server: Running) -> bytes:
    ((status, body),) = server.talk(WHOLE)
    assert (status, json.loads(body)["predictions"][0]["label"]) == (200, "yes")
    return body


@given(data=st.data(), message=st.sampled_from([WHOLE, CHUNKED]))
@settings(max_examples=80, deadline=None)
def test_a_request_may_be_split_at_any_byte(
    server: Running, expected: bytes, data: st.DataObject, message: bytes
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(message) - 1), max_size=6)))
    parts = [message[start:end] for start, end in zip([0, *cuts], [*cuts, len(message)], strict=True)]
    assert server.talk(*parts) == [(200, expected)]


@given(order=st.lists(st.sampled_from([WHOLE, CHUNKED, LIVE]), min_size=1, max_size=12), cut=st.integers(1, 400))
@settings(max_examples=60, deadline=None)
def test_pipelined_requests_are_answered_in_order(
    server: Running, expected: bytes, order: list[bytes], cut: int
) -> None:
    stream = b"".join(order)
    answers = {WHOLE: (200, expected), CHUNKED: (200, expected), LIVE: (200, b'{"live":true}')}
    assert server.talk(stream[:cut], stream[cut:]) == [answers[message] for message in order]


@given(noise=st.one_of(st.binary(max_size=300), st.binary(max_size=60).map(lambda noise: PREDICT + noise)))
@settings(max_examples=150, deadline=None)
def test_noise_is_refused_and_harms_nobody(server: Running, expected: bytes, noise: bytes) -> None:
    assert all(status < 500 for status, _ in server.talk(noise + b"\r\n\r\n"))
    assert server.talk(WHOLE) == [(200, expected)]


@given(at=st.integers(0, len(WHOLE) - 1), value=st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_a_changed_byte_is_never_our_fault(server: Running, at: int, value: int) -> None:
    changed = WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :]
    assert all(status < 500 for status, _ in server.talk(changed))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"content-length: -1\r\n\r\n", 400),
        (b"content-length: 1x\r\n\r\n", 400),
        (b"content-length: 99999999999999999999999\r\n\r\n", 400),
        (b"content-length: 5\r\ncontent-length: 6\r\n\r\n", 400),
        (b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"transfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"bad header\r\n\r\n", 400),
        (b"x: a\nb\r\n\r\n", 400),
        (b"connection: upgrade\r\nupgrade: websocket\r\n\r\n", 400),
        (b"content-length: %d\r\n\r\n" % (BODY_BYTES + 1), 413),
        (b"x: " + b"a" * 2 * HEAD_BYTES + b"\r\n\r\n", 431),
        (b"".join(b"x%d: %s\r\n" % (n, b"a" * 100) for n in range(HEAD_BYTES // 100)) + b"\r\n", 431),
    ],
)
def test_bad_heads_are_refused_and_end_the_connection(server: Running, headers: bytes, status: int) -> None:
    answers = server.talk(PREDICT + headers + LIVE)
    assert [code for code, _ in answers] == [status]
    assert json.loads(answers[0][1])["error"]["message"]


def test_long_urls_and_endless_heads_are_refused(server: Running) -> None:
    assert server.talk(b"GET /" + b"a" * URL_BYTES + b" HTTP/1.1\r\n\r\n")[0][0] == 414
    assert server.talk(PREDICT, b"x: ", *[b"a" * 8_192] * 40)[0][0] == 431


def test_a_chunked_body_over_the_limit_is_refused(server: Running) -> None:
    chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    ((status, body),) = server.talk(
        PREDICT + b"transfer-encoding: chunked\r\n\r\n", *[chunk] * (BODY_BYTES // 2**20 + 1)
    )
    assert (status, json.loads(body)["error"]["limit"]) == (413, BODY_BYTES)


def test_a_refusal_comes_after_the_answers_that_were_due(server: Running, expected: bytes) -> None:
    answers = server.talk(WHOLE + LIVE + b"\x00nonsense\r\n\r\n" + LIVE)
    assert [status for status, _ in answers] == [200, 200, 400]
    assert answers[0][1] == expected


def test_keep_alive_close_http_1_0_and_head(server: Running) -> None:
    assert len(server.talk(LIVE * 3)) == 3
    assert len(server.talk(LIVE.replace(b"host: x", b"connection: close") + LIVE)) == 1
    assert len(server.talk(LIVE.replace(b"1.1", b"1.0") + LIVE)) == 1
    with server.connect() as client:
        client.sendall(LIVE.replace(b"GET", b"HEAD").replace(b"host: x", b"connection: close"))
        head, _, body = b"".join(iter(lambda: client.recv(4_096), b"")).partition(b"\r\n\r\n")
    assert (head[:15], b"content-length: 13" in head, body) == (b"HTTP/1.1 200 OK", True, b"")


def test_expect_100_continue_is_answered(server: Running, expected: bytes) -> None:
    with server.connect() as client:
        client.sendall(PREDICT + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(BODY))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(BODY)
        client.shutdown(socket.SHUT_WR)
        assert responses(client) == [(200, expected)]


def test_slow_clients_are_ended(server: Running) -> None:
    server.service.deadlines = Deadlines(read=0.3, idle=0.3)
    try:
        with server.connect() as dripping, server.connect() as silent, server.connect() as idle:
            idle.sendall(LIVE)
            started = time.monotonic()
            for byte in PREDICT[:20]:
                dripping.sendall(bytes([byte]))
                time.sleep(0.01)
            assert [status for status, _ in responses(dripping)] == [408]
            assert [status for status, _ in responses(idle)] == [200]
            assert silent.recv(1) == b""
            assert time.monotonic() - started < 3
    finally:
        server.service.deadlines = Deadlines()


def test_a_client_that_does_not_read_stops_being_read(server: Running) -> None:
    with server.connect() as client:
        client.setblocking(False)
        sent, stalled = 0, 0
        while stalled < 20 and sent < 200_000_000:
            try:
                sent += client.send(LIVE * 500)
                stalled = 0
            except BlockingIOError:
                stalled += 1
                time.sleep(0.02)
        assert sent < 200_000_000
    assert server.call("GET", "/v2/health/live")[0] == 200
