"""The emulator as a process: start it on a port, find it again, stop it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from modelmill.local.gateway import IDENTITY, SNAPSHOT
from modelmill.local.launcher import MARKER
from modelmill.local.problems import LocalProblem

FIRST_PORT = 4566
_START_SECONDS = 60
_STOP_SECONDS = 30
# Emulators started by this process. They live on after it; without a reference Python would warn of an unwaited child.
_detached: list["subprocess.Popen[bytes]"] = []
_KEPT_VARIABLES = ("HOME", "LANG", "LC_ALL", "PATH", "PYTHONPATH", "TZ", "VIRTUAL_ENV")


def running(home: Path, port: int | None) -> int | None:
    """Process id of the emulator that serves `home` on `port`, or None."""
    if port is None:
        return None
    try:
        identity = _call(port, IDENTITY, "GET", timeout=3)
    except (OSError, ValueError):  # nothing there, or something that is not ours
        return None
    return int(identity["pid"]) if identity.get("home") == str(home) else None


def start(home: Path, port: int) -> None:
    """Start the emulator and wait until it answers; raises LocalProblem with the end of its log."""
    log = home / "logs" / "emulator.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "modelmill.local.launcher", "--home", str(home), "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=home,
            env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | {"PYTHONUTF8": "1"},
            start_new_session=True,
        )
    _detached.append(process)
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if running(home, port):
            return
        if process.poll() is not None:
            tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
            raise LocalProblem("not_started", f"the emulator ended at once:\n{tail}", hint=f"its log: {log}")
        time.sleep(0.05)
    process.kill()
    raise LocalProblem("not_started", f"the emulator did not answer within {_START_SECONDS} s", hint=f"its log: {log}")


def stop(home: Path, port: int) -> bool:
    """End the emulator; False if it had to be killed and so may not have saved everything."""
    pid = running(home, port)
    if pid is None:
        return True
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < end and _alive(pid):
        time.sleep(0.05)
    if _alive(pid):
        os.kill(pid, signal.SIGKILL)
    return not (home / MARKER).exists()


def stop_unresponsive(home: Path) -> None:
    """Kill what an earlier start left that no longer answers."""
    try:
        pid = int((home / MARKER).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return
    listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if "modelmill.local.launcher" in listed.stdout and str(home) in listed.stdout:
        os.kill(pid, signal.SIGKILL)
        while _alive(pid):
            time.sleep(0.05)


def save_all(port: int) -> None:
    """Have the emulator save all its state now."""
    _call(port, SNAPSHOT, "POST", timeout=60)


def _alive(pid: int) -> bool:
    for process in _detached:
        process.poll()  # our own child would stay a zombie, which looks alive
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def free_port(wanted: int | None) -> int:
    """`wanted` (else 4566) if it is free, else the next free one."""
    first = wanted or FIRST_PORT
    for port in range(first, 65_535):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise LocalProblem("no_port", f"no port from {first} on is free")


def _call(port: int, path: str, method: str, timeout: float) -> dict[str, Any]:
    """Plain urllib without the environment's proxies: this is loopback."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with opener.open(request, timeout=timeout) as reply:
            document: dict[str, Any] = json.loads(reply.read())
    except urllib.error.URLError as error:
        raise OSError(str(error)) from error
    return document
