"""Where a job runs and how it fails: what the two engines share."""

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENTRY_POINT = ("python", "-m", "modelmill.training")
"""The ENTRYPOINT of the image."""
IMAGE_ROOT = "/opt/ml"
REGION_ACCOUNT = "us-east-1:000000000000"
Document = dict[str, Any]


class TaskFailed(Exception):
    """The task's state fails with `error` and `cause`, as on AWS."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job runs and whose it is: `home` is the state folder, `run` the name of the execution."""

    home: Path
    run: str
    cancelled: Callable[[], bool]

    def log(self, job: str) -> Path:
        """The job's log file."""
        return self.home / "logs" / "jobs" / self.run / f"{job}.log"

    def folder(self) -> Path:
        """A new, empty `/opt/ml`."""
        parent = self.home / "jobs"
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=parent))
        for name in ("input/config", "input/data", "model", "output", "checkpoints", "code"):
            (folder / name).mkdir(parents=True)
        return folder


def checked_name(error: str, name: Any, pattern: str) -> str:
    """`name` if the service would take it, else raises TaskFailed(`error`)."""
    if not isinstance(name, str) or not re.fullmatch(pattern, name):
        raise TaskFailed(error, f"{name!r} is not a job name: it must match {pattern}")
    return name


def milliseconds(seconds: float) -> int:
    """Epoch milliseconds."""
    return round(seconds * 1_000)
