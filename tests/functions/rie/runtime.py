"""A function from its built zip and layer zips, under the Runtime Interface Emulator: an event in, its answer out.

The interpreter is started with `-S` and a scrubbed environment: neither this checkout nor the virtual environment is on
its path, only the function's zip, its layers and the runtime client. What a layer lacks is missing here too.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

from infra_cdk.bundling import Bundles
from infra_cdk.layers import FUNCTION_LAYERS
from tests.functions.rie import tools

START_SECONDS = 20
INVOKE_SECONDS = 60


class FunctionError(Exception):
    """The function raised: `kind` is the name of the exception, as Step Functions and API Gateway see it."""

    def __init__(self, kind: str, message: str, trace: list[str]) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message
        self.trace = trace


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A function as Lambda lays it out: its code is `/var/task`, its layers are merged into `/opt`."""

    name: str
    task: Path
    opt: Path

    @property
    def size(self) -> int:
        """Unzipped bytes of the code and its layers, which Lambda limits together."""
        files = (path for folder in (self.task, self.opt) for path in folder.rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files)


def unpack(name: str, bundles: Bundles, root: Path) -> Unpacked:
    """Unpack a built function and its layers under `root`, each set of layers once."""
    carried = FUNCTION_LAYERS[name]
    opt, task = root / "opt" / "+".join(carried), root / "task" / name
    if not opt.exists():
        for layer in carried:
            _unzip(bundles.layer(layer), opt)
    if not task.exists():
        _unzip(bundles.function(name), task)
    return Unpacked(name, task, opt)


def _unzip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)


def environment(function: Unpacked, variables: Mapping[str, str]) -> dict[str, str]:
    """What Lambda sets and what the stack sets for a function; nothing of the calling shell."""
    path = (function.opt / "python", tools.runtime_client())
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "HOME": "/tmp",  # noqa: S108 - the only folder that Lambda lets a function write to
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "LAMBDA_TASK_ROOT": str(function.task),
        "AWS_LAMBDA_FUNCTION_NAME": function.name.replace("/", "-"),
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **variables,
    }


class Emulated:
    """A running function. Use it as a context manager: leaving it ends every process of it."""

    def __init__(self, function: Unpacked, variables: Mapping[str, str], log: Path) -> None:
        self._function = function
        self._variables = variables
        self._log = log
        self._port, self._api_port = free_ports(2)

    def __enter__(self) -> Self:
        command = [
            str(tools.emulator()),
            "--runtime-interface-emulator-address",
            f"127.0.0.1:{self._port}",
            "--runtime-api-address",
            f"127.0.0.1:{self._api_port}",
            *(sys.executable, "-S", "-m", "awslambdaric", "handler.handler"),
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._function.task,
                env=environment(self._function, self._variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_for_port(self._port, self._process)
        except BaseException:
            kill_tree(self._process)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        kill_tree(self._process)

    @property
    def pid(self) -> int:
        """Of the emulator; the runtime is its child."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What the function and the emulator wrote."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def invoke(self, event: Any) -> Any:
        """The function's answer; raises FunctionError with the real error type when it raises."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=INVOKE_SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", "/2015-03-31/functions/function/invocations", json.dumps(event))
            body = connection.getresponse().read()
        answer = json.loads(body) if body else None
        if isinstance(answer, dict) and "errorType" in answer:
            raise FunctionError(answer["errorType"], answer.get("errorMessage", ""), answer.get("stackTrace") or [])
        return answer


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started: the emulator puts the runtime into a process group of its own."""
    for pid in [*descendants(process.pid), process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(timeout=START_SECONDS)


def descendants(pid: int) -> list[int]:
    """Children of a process and theirs."""
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, listed.read_text(encoding="ascii").split()):
            found += [child, *descendants(child)]
    return found


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def wait_for_port(
    port: int, process: subprocess.Popen[bytes], address: str = "127.0.0.1", seconds: float = START_SECONDS
) -> None:
    """Return when something listens; raises RuntimeError if the process ends, TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the emulator ended with {process.returncode}")
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")
