"""Two processes on the CPU (gloo) train the net that one process trains, whole or in parts."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from modelmill.training import __main__ as job_process
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.job import Hosts, Job, hosts_of
from tests.unit.model.looping import equal

LOOP = {"epochs": 4, "batch": 32, "learning_rate": 0.01, "accumulate": 2, "clip": 0.5, "precision": "float32"}
WANTED: dict[str, Any] = {"toy": {"rows": 203}, "loop": LOOP}


def start(folder: Path, wanted: dict[str, Any], processes: int) -> "list[subprocess.Popen[str]]":
    """The processes that train together, as torch.distributed.run would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.unit.model.looping", str(folder), json.dumps(wanted)]
    return [
        subprocess.Popen(
            command,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]


@dataclass
class Trained:
    """What the processes ended with, and what each said."""

    weights: dict[str, Tensor]
    said: dict[str, Any]
    output: list[str]

    def losses(self, kind: str) -> list[float]:
        """Of each epoch."""
        return [epoch[kind] for epoch in self.said["history"]]


def together(folder: Path, wanted: dict[str, Any], processes: int) -> Trained:
    """Let them train to the end."""
    started = start(folder, wanted, processes)
    told = [process.communicate(timeout=90) for process in started]
    assert [process.returncode for process in started] == [0] * processes, told
    kept = Checkpoints(folder / "ended.safetensors", "ended").load()
    assert kept is not None
    return Trained(*kept, [out for out, _ in told])


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """What one process makes of it."""
    return together(tmp_path_factory.mktemp("alone"), WANTED, 1)


@pytest.mark.parametrize("shard", [10**9, 1], ids=["ddp", "fsdp"])
def test_two_processes_give_the_losses_and_weights_of_one(alone: Trained, tmp_path: Path, shard: int) -> None:
    both = together(tmp_path, WANTED | {"shard": shard}, 2)
    assert both.losses("training_loss") == pytest.approx(alone.losses("training_loss"), abs=1e-6)
    assert both.losses("validation_loss") == pytest.approx(alone.losses("validation_loss"), abs=1e-6)
    assert equal(both.weights, alone.weights, within=1e-5)
    assert both.said["validated"] == pytest.approx(min(both.losses("validation_loss"))), "the net is whole again"
    assert len(both.output[0].splitlines()) == LOOP["epochs"]
    assert not both.output[1], "only one process writes"


def test_processes_that_end_go_on_where_they_were_also_in_parts(alone: Trained, tmp_path: Path) -> None:
    started = start(tmp_path, {**WANTED, "toy": {**WANTED["toy"], "fails_after": 2}, "save": 0.0}, 2)
    for process in started:
        process.communicate(timeout=90)
        assert process.returncode != 0
    both = together(tmp_path, WANTED | {"shard": 1}, 2)
    assert both.output[0].count("epoch=") == 2, "the others were done"
    assert equal(both.weights, alone.weights, within=1e-5)


def test_a_job_starts_its_processes_and_hears_how_they_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELMILL_ML_ROOT", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    job = Job("train", "models", "default/runs/r/", "mlp", "batch", tmp_path)
    # Without its parameters each process ends as a job does that lacks them.
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert job_process._launch(job, Hosts(), 2, ["--stage", "train"]) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    assert job.failure_file.read_text(encoding="utf-8").startswith("bad_parameters: a job needs the parameters")


def test_the_engines_say_which_machines_there_are(tmp_path: Path) -> None:
    assert hosts_of(tmp_path, {}) == Hosts(1, 0, "127.0.0.1")
    batch = {"AWS_BATCH_JOB_NUM_NODES": "3", "AWS_BATCH_JOB_NODE_INDEX": "0", "AWS_BATCH_JOB_MAIN_NODE_INDEX": "0"}
    assert hosts_of(tmp_path, batch) == Hosts(3, 0, "127.0.0.1")
    child = batch | {"AWS_BATCH_JOB_NODE_INDEX": "2", "AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS": "10.0.0.7"}
    assert hosts_of(tmp_path, child) == Hosts(3, 2, "10.0.0.7")
    config = tmp_path / "input/config/resourceconfig.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"current_host": "algo-2", "hosts": ["algo-2", "algo-1"]}))
    assert hosts_of(tmp_path, {}) == Hosts(2, 1, "algo-1")
