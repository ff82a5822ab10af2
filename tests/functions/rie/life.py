"""One run carried through the functions by hand, as the workflow would: a file in, its state after each stage out.

The functions run from their zips; the jobs run as Batch starts them, as processes.
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

from infra_cdk.bundling import TARGETS, build
from tests.functions.rie import world
from tests.functions.rie.runtime import Emulated, Unpacked, unpack

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "events/data/samples/reviews.csv"
JOB_SECONDS = 180
Run = dict[str, Any]


def event(name: str) -> Any:
    """A trigger's payload from `events/`, by its path without the ending."""
    return json.loads((ROOT / "events" / f"{name}.json").read_text(encoding="utf-8"))


@dataclass
class Life:
    """Started functions in a world; `folder` takes what they are unpacked to and what they log."""

    aws: world.World
    folder: Path
    _running: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        """Build what is not built, and start each function at most once."""
        self._bundles = build(TARGETS["local"])
        self.start = cache(self._start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def unpacked(self, name: str) -> Unpacked:
        """A function, by its folder such as `data/ingest`, as Lambda lays it out."""
        return unpack(name, self._bundles, self.folder)

    def emulated(self, name: str) -> Emulated:
        """A function that is not started yet."""
        log = self.folder / f"{name.replace('/', '-')}.log"
        return Emulated(self.unpacked(name), self.aws.variables(name), log)

    def _start(self, name: str) -> Emulated:
        return self._running.enter_context(self.emulated(name))

    def upload(self, data: bytes) -> Run:
        """Put a file under the key that the event names; the event of it, as the queue delivers it."""
        batch: Run = event("data/ingest")
        message = json.loads(batch["Records"][0]["body"])
        stored = message["detail"]["object"]
        stored |= {"size": len(data), "version-id": self.aws.put(world.UPLOADS, stored["key"], data)}
        batch["Records"][0]["body"] = json.dumps(message)
        return batch

    def ingest(self, batch: Run) -> Run:
        """The input of the one execution that a delivered event starts."""
        before = set(self.aws.executions)
        self.start("data/ingest").invoke(batch)
        (name,) = set(self.aws.executions) - before
        return self.aws.input_of(name)

    def stage(self, function: str, run: Run) -> Run:
        """The state after a function of the workflow: its answer lies under the stage's name."""
        return run | {function.split("/")[1]: self.start(function).invoke(run)}

    def train(self, run: Run, count: int) -> Run:
        """The state after training the first `count` candidates; the others are as if their instance was reclaimed."""
        names = run["preprocess"]["candidates"]
        for candidate in names[:count]:
            self._job("train", candidate, run)
        done = [{"candidate": name, "failed": False} for name in names[:count]]
        lost = [{"candidate": name, "failed": True, "cause": "the instance was reclaimed"} for name in names[count:]]
        return run | {"train": done + lost}

    def package(self, run: Run) -> Run:
        """The state after the job that evaluates, converts and optimises the winner."""
        candidate = run["select"]["candidate"]
        self._job("package", candidate, run)
        return run | {"package": {"candidate": candidate}}

    def _job(self, stage: str, candidate: str, run: Run) -> None:
        command = ["--stage", stage, "--run", run["preprocess"]["run_uri"], "--candidate", candidate]
        inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "HOME"}}
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            done = subprocess.run(
                [sys.executable, "-m", "modelmill.training", *command],
                cwd=folder,
                env={**inherited, **self.aws.job_variables, "MODELMILL_ML_ROOT": folder},
                capture_output=True,
                text=True,
                timeout=JOB_SECONDS,
                check=False,
            )
        if done.returncode != 0:
            raise RuntimeError(done.stderr[-4_000:])
