"""Fixtures: the built functions, a small AWS, and one run carried through the functions of the life cycle in order."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra_cdk.bundling import TARGETS, build
from tests.functions.rie import tools, world
from tests.functions.rie.runtime import Emulated, Unpacked, unpack

ROOT = Path(__file__).parents[3]
JOB_SECONDS = 180
Run = dict[str, Any]
Start = Callable[[str], Emulated]

if not tools.supported():
    collect_ignore_glob = ["test_*.py"]


def event(name: str) -> Any:
    """A trigger's payload from `events/`."""
    return json.loads((ROOT / "events" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Unpacked]:
    bundles, root = build(TARGETS["local"]), tmp_path_factory.mktemp("lambda")
    return lambda name: unpack(name, bundles, root)


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[world.World]:
    with world.running(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="session")
def start(
    unpacked: Callable[[str], Unpacked], aws: world.World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Start]:
    """Start a function, once for all tests, and get it by its folder, such as `data/ingest`."""
    logs = tmp_path_factory.mktemp("logs")
    with ExitStack() as running:

        @cache
        def started(name: str) -> Emulated:
            log = logs / f"{name.replace('/', '-')}.log"
            return running.enter_context(Emulated(unpacked(name), aws.variables, log))

        yield started


@pytest.fixture(scope="session")
def ingested(start: Start, aws: world.World) -> Run:
    """The input of the execution that an upload of the bundled reviews starts."""
    sample = (ROOT / "events/data/samples/reviews.csv").read_text(encoding="utf-8")
    aws.put(world.UPLOADS, "default/reviews/first/reviews.csv", "\n".join(sample.split("\n")[:601]).encode())
    before = set(aws.executions)
    answer = start("data/ingest").invoke(event("data/ingest"))
    assert answer == {"batchItemFailures": []}
    (name,) = set(aws.executions) - before
    return aws.input_of(name)


def after(run: Run, stage: str, answer: Any) -> Run:
    """The workflow's state after a stage."""
    return run | {stage: answer}


@pytest.fixture(scope="session")
def preprocessed(start: Start, ingested: Run) -> Run:
    return after(ingested, "preprocess", start("data/preprocess").invoke(ingested))


@pytest.fixture(scope="session")
def trained(preprocessed: Run, aws: world.World, tmp_path_factory: pytest.TempPathFactory) -> Run:
    tried, left = preprocessed["preprocess"]["candidates"][:2], preprocessed["preprocess"]["candidates"][2:]
    for candidate in tried:
        job("train", candidate, preprocessed, aws, tmp_path_factory.mktemp("ml"))
    done = [{"candidate": candidate, "failed": False} for candidate in tried]
    # The others have no result, as a job leaves them that was killed.
    killed = [
        {"candidate": candidate, "failed": True, "error": "States.TaskFailed", "cause": "x"} for candidate in left
    ]
    return after(preprocessed, "train", done + killed)


@pytest.fixture(scope="session")
def selected(start: Start, trained: Run) -> Run:
    return after(trained, "select", start("model/select").invoke(trained))


@pytest.fixture(scope="session")
def packaged(selected: Run, aws: world.World, tmp_path_factory: pytest.TempPathFactory) -> Run:
    candidate = selected["select"]["candidate"]
    job("package", candidate, selected, aws, tmp_path_factory.mktemp("ml"))
    return after(selected, "package", {"candidate": candidate})


@pytest.fixture(scope="session")
def registered(start: Start, packaged: Run) -> Run:
    return after(packaged, "register", start("model/register").invoke(packaged))


@pytest.fixture(scope="session")
def deployed(start: Start, registered: Run) -> Run:
    return after(registered, "deploy", start("serve/deploy").invoke(registered))


def job(stage: str, candidate: str, run: Run, aws: world.World, folder: Path) -> None:
    """A training job as Batch starts it: the command line of the workflow, in the environment of a job."""
    command = ["--stage", stage, "--run", run["preprocess"]["run_uri"], "--candidate", candidate]
    inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "HOME"}}
    variables = {
        **inherited,
        **aws.variables,
        "AWS_DEFAULT_REGION": world.REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "MODELMILL_ML_ROOT": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-m", "modelmill.training", *command],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=JOB_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
