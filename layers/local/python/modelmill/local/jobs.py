"""Runs one job as a process: a command, an environment and a time limit in, its log in a file and an outcome out.

What SageMaker and Batch do around it (files of `/opt/ml`, S3, descriptions) is in `sagemaker` and `batch`.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CORES = os.cpu_count() or 1
GRACE_SECONDS = 10.0
"""Between SIGTERM and SIGKILL. SageMaker gives 120 s and Batch 30 s; a laptop's checkpoints are small."""
_POLL_SECONDS = 0.2
Status = Literal["succeeded", "failed", "stopped", "timed_out"]
_CHILD = Path(__file__).with_name("child.py")
# The default pipeline trains two candidates at once. The number must not depend on what else runs: it changes the order
# of float additions, so a model's digest would depend on the load of the machine.
_THREADS = str(max(1, CORES // 2))
_slots = threading.BoundedSemaphore(CORES)
_running: set[int] = set()
_running_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Job:
    """`command[0] == "python"` means the launcher's own interpreter. `folder` stands for the image's `/opt/ml`."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    max_seconds: float
    folder: Path
    log: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. Times are seconds since the epoch; `exit_code` is None if it never ran."""

    status: Status
    exit_code: int | None
    started: float
    ended: float


def run(job: Job, cancelled: Callable[[], bool]) -> Outcome:
    """Run the job to its end; at most one job per core runs, the others wait. `cancelled` is polled."""
    while not _slots.acquire(timeout=_POLL_SECONDS):
        if cancelled():
            return Outcome("stopped", None, time.time(), time.time())
    try:
        return _run_now(job, cancelled)
    finally:
        _slots.release()


def stop_all() -> None:
    """Kill every running job: the launcher ends."""
    with _running_lock:
        for group in _running:
            _signal(group, signal.SIGKILL)


def _run_now(job: Job, cancelled: Callable[[], bool]) -> Outcome:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    program = sys.executable if job.command[0] in ("python", "python3") else job.command[0]
    started = time.time()
    with job.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - the command of our own template
            [sys.executable, "-I", str(_CHILD), str(os.getpid()), program, *job.command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=job.folder,
            env=_environment(job),
            start_new_session=True,
        )
    with _running_lock:
        _running.add(process.pid)
    try:
        status = _wait(process, time.monotonic() + job.max_seconds, cancelled)
    finally:
        _signal(process.pid, signal.SIGKILL)  # what the job left behind in its group
        with _running_lock:
            _running.discard(process.pid)
    return Outcome(status, process.returncode, started, time.time())


def _environment(job: Job) -> dict[str, str]:
    """The launcher's environment (scrubbed by `cloud.up`), the job's own, and the image's contract."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), _THREADS)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONUNBUFFERED": "1",
        **threads,
        **job.environment,
        "MODELMILL_ML_ROOT": str(job.folder),
    }


def _wait(process: "subprocess.Popen[bytes]", deadline: float, cancelled: Callable[[], bool]) -> Status:
    while True:
        try:
            code = process.wait(timeout=_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if cancelled():
                _terminate(process)
                return "stopped"
            if time.monotonic() > deadline:
                _terminate(process)
                return "timed_out"
        else:
            return "succeeded" if code == 0 else "failed"


def _terminate(process: "subprocess.Popen[bytes]") -> None:
    _signal(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _signal(process.pid, signal.SIGKILL)
        process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return
