"""The long-running server against a bare probe, FastAPI and MLServer: CPU a request, start, memory.

The server has one core, the load the other; servers take turns, and what counts is the CPU time of the server's
process by the kernel's account. MLServer takes part if it is installed where `MLSERVER` says (it is not in the lock).
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from modelmill.core.digest import canonical_json
from tests.perf.load import Shot, http, rpc
from tests.perf.timing import head, row, spread
from tests.unit.serve.kit import text_package, write

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "tests" / "perf" / "peers"
MLSERVER = ROOT / "build" / "mlserver-venv" / "bin" / "mlserver"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = 1.5
GOALS = {"text json c8": "120 / 75", "tab256 json c8": "450 / 200", "tab256 binary c8": "150 / 100"}
GOALS |= {"text grpc c32": "250 / 180"}


@dataclass
class Server:
    """A running server of one model."""

    name: str
    pid: int
    port: int
    rpc: int | None = None

    def cpu(self) -> int:
        """Nanoseconds of CPU that its threads have had."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def cost(self, shot: Shot) -> float:
        """Microseconds of CPU a request."""
        before = self.cpu()
        count = rpc(self.rpc or 0, shot, SECONDS) if shot.rpc else http(self.port, shot, SECONDS)
        return (self.cpu() - before) / count / 1_000


def tables() -> Iterator[str]:
    """The tables of docs/benchmarks.md."""
    os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder / "packages" / "text", package(text_model(), ("ids", "INT64", [-1, 256])))
        write(folder / "packages" / "tab256", package(tabular_model(), ("x", "FP32", [-1, 32])))
        write(folder / "packages" / "reviews", text_package())
        yield head("µs of CPU a request, median (min)", "ours", "probe", "FastAPI", "MLServer", "goal: must / aim")
        for model in ("text", "tab256"):
            yield from compared(folder, model)
        yield head("start with 3 models", "median (min)", "goal: must / aim")
        starts, memory = started(folder / "packages")
        yield row("process start to ready, s", spread(starts, 2), "0.5 / 0.35")
        yield row("proportional set size, MB", f"{statistics.median(memory):.0f}", "125 / 105")


def compared(folder: Path, model: str) -> Iterator[str]:
    """One row a shot."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(server) for server in (ours(folder / "packages"), *peers(folder, model)) if server
        ]
        for shot in SHOTS[model]():
            able = [server for server in servers if _can(server, shot)]
            for server in able:
                server.cost(shot)
            results: dict[str, list[float]] = {server.name: [] for server in able}
            for _ in range(ROUNDS):
                for server in able:
                    results[server.name].append(server.cost(shot))
            cells = [
                spread(results[name]) if name in results else "–" for name in ("ours", "probe", "fastapi", "mlserver")
            ]
            yield row(shot.name, *cells, GOALS.get(shot.name, ""))


def _can(server: Server, shot: Shot) -> bool:
    if shot.rpc:
        return server.rpc is not None
    return "binary" not in shot.name or server.name in {"ours", "probe"}


@contextmanager
def ours(packages: Path) -> Iterator[Server]:
    """Our server."""
    command = [sys.executable, "-m", "modelmill.serving.server", "--folder", str(packages), "--port", "0"]
    process = subprocess.Popen([*pinned(*command), "--grpc-port", "0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    ready = json.loads(process.stdout.readline())
    yield Server("ours", process.pid, ready["port"], ready["grpc_port"])
    process.terminate()
    process.communicate()


def peers(folder: Path, model: str) -> list[Any]:
    """The others, each with one model."""
    path = folder / "packages" / model / "model.onnx"
    result = [
        peer(name, path, sys.executable, str(PEERS / f"{file}.py"))
        for name, file in (("probe", "probe"), ("fastapi", "fastapi_app"))
    ]
    if MLSERVER.exists():
        place = folder / f"mlserver-{model}"
        place.mkdir()
        shutil.copy(PEERS / "mlserver_model.py", place)
        (place / "model-settings.json").write_text(json.dumps({"name": model, "implementation": "mlserver_model.Onnx"}))
        result.append(peer("mlserver", path, str(MLSERVER), "start", str(place)))
    return result


@contextmanager
def peer(name: str, model: Path, *command: str) -> Iterator[Server]:
    """A server that is ready once its port is open."""
    ports = [free_port() for _ in range(3)]
    own = {
        "MODEL": str(model),
        "PORT": str(ports[0]),
        "MLSERVER_HTTP_PORT": str(ports[0]),
        "MLSERVER_HOST": "127.0.0.1",
    }
    own |= {"MLSERVER_GRPC_PORT": str(ports[1]), "MLSERVER_METRICS_PORT": str(ports[2]), "MLSERVER_DEBUG": "false"}
    own |= {"MLSERVER_PARALLEL_WORKERS": "0"}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(pinned(*command), env=os.environ | own, stdout=quiet, stderr=quiet)
    end = time.monotonic() + 60
    while socket.socket().connect_ex(("127.0.0.1", ports[0])):
        if time.monotonic() > end or process.poll() is not None:
            raise RuntimeError(f"{name} does not start")
        time.sleep(0.1)
    time.sleep(2)
    yield Server(name, process.pid, ports[0])
    process.terminate()
    process.wait(20)


def pinned(*command: str) -> list[str]:
    """The command on the server's core."""
    return ["taskset", "-c", "0", *command]


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def started(packages: Path) -> tuple[list[float], list[float]]:
    """Seconds to ready and megabytes of memory, of several starts."""
    seconds, memory = [], []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        with ours(packages) as server:
            seconds.append(time.perf_counter() - begun)
            lines = Path(f"/proc/{server.pid}/smaps_rollup").read_text().splitlines()
            memory.append(next(int(line.split()[1]) / 1_000 for line in lines if line.startswith("Pss:")))
    return seconds, memory


def post(model: str, body: bytes, *headers: str) -> bytes:
    """A request as a client sends it."""
    lines = [f"POST /v2/models/{model}/infer HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def text_shots() -> list[Shot]:
    """256 ids of one text."""
    ids = np.random.default_rng(1).integers(1, 20_000, (1, 256))
    tensor = {"name": "ids", "datatype": "INT64", "shape": [1, 256]}
    data = post("text", json.dumps({"inputs": [tensor | {"data": ids.ravel().tolist()}]}).encode())
    from modelmill.serving.server.pb import open_inference_pb2 as pb

    call = pb.ModelInferRequest(model_name="text", raw_input_contents=[ids.tobytes()])
    call.inputs.add(**tensor)
    return [
        Shot("text json c1", data, 1),
        Shot("text json c8", data, 8),
        Shot("text grpc c1", call.SerializeToString(), 1, rpc=True),
        Shot("text grpc c32", call.SerializeToString(), 32, rpc=True),
    ]


def tabular_shots() -> list[Shot]:
    """256 rows of 32 numbers."""
    rows = np.random.default_rng(1).standard_normal((256, 32)).astype(np.float32)
    tensor: dict[str, Any] = {"name": "x", "datatype": "FP32", "shape": [256, 32]}
    values = [round(float(value), 6) for value in rows.ravel()]
    as_json = post("tab256", json.dumps({"inputs": [tensor | {"data": values}]}).encode())
    parameters = {"parameters": {"binary_data_size": rows.nbytes}}
    document = json.dumps({"inputs": [tensor | parameters], "parameters": {"binary_data_output": True}}).encode()
    length = f"Inference-Header-Content-Length: {len(document)}"
    binary = post("tab256", document + rows.tobytes(), length)
    return [Shot("tab256 json c8", as_json, 8), Shot("tab256 binary c8", binary, 8)]


SHOTS = {"text": text_shots, "tab256": tabular_shots}


def text_model() -> bytes:
    """256 ids → embedding of 5 MB → mean → 2 logits."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["vectors"]),
        helper.make_node("ReduceMean", ["vectors", "axis"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "out"], ["logits"]),
    ]
    constants = {"table": random.standard_normal((20_000, 64)), "out": random.standard_normal((64, 2))}
    return graph(nodes, ("ids", TensorProto.INT64, ["B", 256]), constants)


def tabular_model() -> bytes:
    """32 numbers → 64 → 2."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("MatMul", ["active", "out"], ["logits"]),
    ]
    constants = {"first": random.standard_normal((32, 64)), "out": random.standard_normal((64, 2))}
    return graph(nodes, ("x", TensorProto.FLOAT, ["B", 32]), constants)


def graph(nodes: list[onnx.NodeProto], entry: tuple[str, int, list[Any]], constants: dict[str, Any]) -> bytes:
    """The model's file."""
    initialisers = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()]
    initialisers.append(numpy_helper.from_array(np.array([1]), "axis"))
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 2])
    whole = helper.make_graph(nodes, "bench", [helper.make_tensor_value_info(*entry)], [out], initialisers)
    data: bytes = helper.make_model(
        whole, opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    ).SerializeToString()
    return data


def package(model: bytes, entry: tuple[str, str, list[int]]) -> dict[str, bytes]:
    """A package of tensors."""
    name, datatype, shape = entry
    inputs = [{"name": name, "datatype": datatype, "shape": shape}]
    outputs = [{"name": "logits", "datatype": "FP32", "shape": [-1, 2]}]
    return text_package() | {
        "model.onnx": model,
        "signature.json": canonical_json({"inputs": inputs, "outputs": outputs}),
        "preprocess.json": canonical_json({"kind": "tensors"}),
    }
