"""The server as a process: unmodified Triton clients over HTTP and gRPC, reflection, health, and the end by SIGTERM."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from modelmill.serving.binary import DTYPES
from tests.unit.serve.kit import tabular_package, tensors_package, text_package, write

pytestmark = pytest.mark.filterwarnings("default")
CLIENTS = {"http": tritonclient.http, "grpc": tritonclient.grpc}


@dataclass
class Server:
    process: subprocess.Popen[str]
    http: int
    rpc: int

    def client(self, wire: str) -> Any:
        return CLIENTS[wire].InferenceServerClient(f"127.0.0.1:{self.http if wire == 'http' else self.rpc}")


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "modelmill.serving.server", "--folder", str(folder), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout
    try:
        ready = json.loads(process.stdout.readline())
        yield Server(process, ready["port"], ready["grpc_port"])
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    write(folder / "reviews", text_package())
    write(folder / "people", tabular_package())
    write(folder / "echo", tensors_package())
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(folder, "--port", "0", "--grpc-port", "0") as server:
        yield server


def inputs(wire: str, **values: Any) -> list[Any]:
    result = []
    for name, array in values.items():
        kind = "FP32" if name == "matrix" else "BYTES" if array.dtype == object else _name(array.dtype)
        result.append(CLIENTS[wire].InferInput(name, list(array.shape), kind))
        result[-1].set_data_from_numpy(array)
    return result


def _name(dtype: np.dtype[Any]) -> str:
    return next(name for name, known in DTYPES.items() if known == dtype)


PEOPLE = {"age": np.array([1.5, np.nan]), "colour": np.array(["red", "好"], object)}


@pytest.mark.parametrize("wire", CLIENTS)
def test_health_and_metadata(server: Server, wire: str) -> None:
    client = server.client(wire)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("people")
    assert client.is_model_ready("people", "1")
    as_json = {"as_json": True} if wire == "grpc" else {}
    assert client.get_server_metadata(**as_json)["extensions"] == ["binary_tensor_data"]
    metadata = client.get_model_metadata("people", **as_json)
    assert [each["name"] for each in metadata["outputs"]] == ["label", "probabilities"]
    assert metadata["versions"] == ["1"]


def test_all_wires_give_the_same_answer(server: Server) -> None:
    answers = []
    for wire, binary in (("http", True), ("http", False), ("grpc", True)):
        client = server.client(wire)
        # JSON has no NaN: Triton's client writes one nevertheless, so the missing number is left out there.
        values = PEOPLE if binary else {"age": np.array([1.5, 0]), "colour": PEOPLE["colour"]}
        given = inputs(wire, **values)
        outputs = None
        if not binary:
            for each, array in zip(given, values.values(), strict=True):
                each.set_data_from_numpy(array, binary_data=False)
            outputs = [tritonclient.http.InferRequestedOutput(n, binary_data=False) for n in ("label", "probabilities")]
        result = client.infer("people", given, outputs=outputs, request_id="7")
        answers.append((result.as_numpy("label").tolist(), result.as_numpy("probabilities").tolist()))
        answer = result.get_response()
        assert (answer["id"] if wire == "http" else answer.id) == "7"
    connection = HTTPConnection("127.0.0.1", server.http, timeout=10)
    rows = {"instances": [{"age": 1.5, "colour": "red"}, {"colour": "好"}]}
    connection.request("POST", "/v1/models/people/predict", json.dumps(rows))
    predictions = json.loads(connection.getresponse().read())["predictions"]
    connection.close()
    plain = (
        [row["label"].encode() for row in predictions],
        [list(row["scores"].values()) for row in predictions],
    )
    assert [(list(map(_bytes, labels)), scores) for labels, scores in answers] == [plain] * 3


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


@pytest.mark.parametrize("wire", CLIENTS)
def test_every_datatype_goes_out_and_comes_back(server: Server, wire: str) -> None:
    values = {
        name: np.array([0, 1], dtype)
        if dtype.kind == "b"
        else np.array([np.iinfo(dtype).max, 3], dtype)
        if dtype.kind in "iu"
        else np.array([0.5, -np.inf], dtype)
        for name, dtype in DTYPES.items()
    }
    values |= {"BYTES": np.array(["", "好"], object), "matrix": np.arange(6, dtype=np.float32).reshape(2, 3)}
    result = server.client(wire).infer("echo", inputs(wire, **values))
    for name in DTYPES:
        np.testing.assert_array_equal(result.as_numpy(f"{name}_out"), values[name])
    assert [each.decode() for each in result.as_numpy("BYTES_out")] == ["", "好"]
    assert result.as_numpy("sums").tolist() == [3, 12]


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        (("nobody", "", PEOPLE), "NOT_FOUND", "no model named 'nobody'"),
        (("people", "9", PEOPLE), "NOT_FOUND", "no version named '9'"),
        (("people", "", {"age": np.array([[1.0, 2.0]])}), "INVALID_ARGUMENT", r"inputs[0] (age)"),
        (("people", "", {"age": np.array(["x"], object)}), "INVALID_ARGUMENT", "the datatype FP64"),
        (("people", "", {"x": np.array([1.0])}), "INVALID_ARGUMENT", "no input of this model"),
    ],
)
@pytest.mark.parametrize("wire", CLIENTS)
def test_refusals(server: Server, wire: str, asked: tuple[str, str, Any], code: str, says: str) -> None:
    model, version, values = asked
    with pytest.raises(InferenceServerException) as caught:
        server.client(wire).infer(model, inputs(wire, **values), model_version=version)
    assert says in caught.value.message()
    if wire == "grpc":
        assert caught.value.status() == f"StatusCode.{code}"


def rpc(server: Server, request: Any) -> Any:
    with grpc.insecure_channel(f"127.0.0.1:{server.rpc}") as channel:
        call = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=service_pb2.ModelInferResponse.FromString,
        )
        return call(request, timeout=10)


def typed(**contents: Any) -> Any:
    request = service_pb2.ModelInferRequest(model_name="people")
    tensor = request.inputs.add(name="age", datatype="FP64", shape=[1])
    for name, values in contents.items():
        getattr(tensor.contents, name).extend(values)
    return request


def test_typed_contents_are_taken_and_checked(server: Server) -> None:
    answer = rpc(server, typed(fp64_contents=[1.5]))
    assert np.frombuffer(answer.raw_output_contents[1], "<f4").sum() == pytest.approx(1)
    wrong = [typed(fp32_contents=[1.5]), typed(), typed(fp64_contents=[1.5])]
    wrong[2].raw_input_contents.extend([b"12345678"])
    two = typed()
    two.inputs[0].ClearField("contents")
    two.raw_input_contents.extend([b"", b""])
    text = service_pb2.ModelInferRequest(model_name="reviews")
    text.inputs.add(name="review", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"\xff")
    half = typed(fp64_contents=[1.0])
    half.inputs[0].datatype = "FP16"
    for request in (*wrong, two, text, half):
        with pytest.raises(grpc.RpcError) as caught:
            rpc(server, request)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_health_and_reflection_services(server: Server) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.rpc}") as channel:
        for name in ("", "inference.GRPCInferenceService"):
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        services = set(ProtoReflectionDescriptorDatabase(channel).get_services())
    assert services >= {"inference.GRPCInferenceService", "grpc.health.v1.Health"}


def test_sigterm_lets_what_was_asked_be_answered(folder: Path) -> None:
    with serving(folder, "--port", "0", "--grpc-port", "0") as server:
        idle = socket.create_connection(("127.0.0.1", server.http), timeout=10)
        idle.sendall(b"GET /v2/health/live HTTP/1.1\r\n\r\n")
        assert idle.recv(4_096)
        half = socket.create_connection(("127.0.0.1", server.http), timeout=10)
        body = json.dumps({"instances": [{"text": "good"}]}).encode()
        head = b"POST /v1/models/reviews/predict HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body)
        half.sendall(head + body[:5])
        wrong: list[BaseException | int] = []
        stop = threading.Event()
        asking = [threading.Thread(target=ask, args=(server.http, body, wrong, stop)) for _ in range(4)]
        for thread in asking:
            thread.start()
        stop.wait(0.3)
        server.process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""  # quiet for a second, it is closed
        half.sendall(body[5:])
        answer = b"".join(iter(lambda: half.recv(4_096), b""))
        stop.set()
        for thread in asking:
            thread.join(10)
        server.process.wait(20)
        idle.close()
        half.close()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in answer
    assert wrong == []


def ask(port: int, body: bytes, wrong: list[BaseException | int], stop: threading.Event) -> None:
    """Ask over one connection until the server says that it closes; every request that it took must be answered."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    while not stop.is_set():
        connection.request("POST", "/v1/models/reviews/predict", body)
        try:
            response = connection.getresponse()
            response.read()
        except OSError as error:
            wrong.append(error)
            break
        if response.status != 200:
            wrong.append(response.status)
        if response.getheader("connection") == "close":
            break
    connection.close()


def test_two_workers_share_the_ports_and_end_together(folder: Path) -> None:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = [str(each.getsockname()[1]) for each in (one, other)]
    with serving(folder, "--port", ports[0], "--grpc-port", ports[1], "--workers", "2") as server:
        assert server.process.stdout
        second = json.loads(server.process.stdout.readline())
        assert second["port"] == server.http
        assert server.client("http").is_model_ready("people")
        assert server.client("grpc").is_model_ready("people")
