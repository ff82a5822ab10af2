"""Two processes on the CPU (gloo) train the net that one process trains, whole or in parts."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from modelmill.training.checkpoints import Checkpoints
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


def test_parts_go_on_from_a_checkpoint_of_whole_nets(alone: Trained, tmp_path: Path) -> None:
    """Two kept epochs of a process alone, continued by two with a part each."""
    half = {**WANTED, "toy": {**WANTED["toy"], "fails_after": 2}, "save": 0.0}
    process = start(tmp_path, half, 1)[0]
    process.communicate(timeout=90)
    assert process.returncode != 0
    both = together(tmp_path, WANTED | {"shard": 1}, 2)
    assert both.output[0].count("epoch=") == 2, "the others were done"
    assert equal(both.weights, alone.weights, within=1e-5)


def test_two_processes_that_are_killed_go_on_where_they_were(alone: Trained, tmp_path: Path) -> None:
    started = start(tmp_path, {**WANTED, "toy": {**WANTED["toy"], "fails_after": 2}, "save": 0.0, "shard": 1}, 2)
    for process in started:
        process.communicate(timeout=90)
        assert process.returncode != 0
    both = together(tmp_path, WANTED | {"shard": 1}, 2)
    assert both.output[0].count("epoch=") == 2
    assert equal(both.weights, alone.weights, within=1e-5)
