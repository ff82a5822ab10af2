"""Interruptions: a job that is stopped and started again ends with the weights of one that never stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from modelmill.aws import objects
from modelmill.training import checkpoints
from modelmill.training.checkpoints import COPY_SECONDS, Checkpoints
from tests.unit.model.looping import equal
from tests.unit.model.samples import REVIEW_INPUTS, REVIEW_SPLITS
from tests.unit.model.world import Cloud

NAME = "ngram-embedding"
WEIGHTS = f"default/runs/{{}}/candidates/{NAME}/weights.safetensors"
LOOP = {"epochs": 6, "batch": 16, "learning_rate": 0.02, "accumulate": 2, "schedule": "plateau"}
"""13 batches, 7 moves an epoch."""
TOY = {"rows": 200, "dropout": 0.3}


def _terminate_after_first_checkpoint(folder: Path) -> threading.Thread:
    def wait() -> None:
        while not list(folder.glob("*.safetensors")):
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_spot_interruption_and_a_second_attempt_give_the_same_weights(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)
    for run in ("whole", "parts"):
        cloud.put_run(run, "text-classification", REVIEW_INPUTS, REVIEW_SPLITS, selection={"method": "hold-out"})
    assert cloud.job("train", "whole", NAME) == 0
    shutil.rmtree(cloud.root / "checkpoints")

    killer = _terminate_after_first_checkpoint(cloud.root / "checkpoints")
    with pytest.raises(SystemExit) as stopped:
        cloud.job("train", "parts", NAME)
    killer.join()
    assert stopped.value.code == 128 + signal.SIGTERM
    assert objects.find("models", WEIGHTS.format("parts")) is None
    assert objects.find("models", f"default/runs/parts/candidates/{NAME}/failure.json") is None
    assert [stage["status"] for stage in cloud.stages("parts")] == ["RUNNING"]

    assert cloud.job("train", "parts", NAME) == 0
    assert objects.get("models", WEIGHTS.format("parts")) == objects.get("models", WEIGHTS.format("whole"))
    first, second = (cloud.json(f"default/runs/{run}/candidates/{NAME}/result.json") for run in ("whole", "parts"))
    assert second["loss"] == first["loss"]
    histories = [cloud.json(f"default/runs/{run}/candidates/{NAME}/history.json") for run in ("whole", "parts")]
    assert histories[0] == histories[1], "also of the epochs before the interruption"
    assert {"part", "epoch", "training_loss", "validation_loss", "learning_rate"} == set(histories[0][0])


def _process(folder: Path, **wanted: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.unit.model.looping", str(folder), json.dumps(wanted)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_process_that_is_killed_within_an_epoch_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole = _process(tmp_path / "whole", toy=TOY, loop=LOOP)
    killed = _process(tmp_path / "killed", toy=TOY | {"pause": 0.02}, loop=LOOP, save=0.0)
    kept = Checkpoints(tmp_path / "killed/toy.safetensors", "toy")
    state: dict[str, Any] = {"epoch": 0, "move": 0}
    until = time.monotonic() + 60
    while not (state["epoch"] >= 1 and state["move"] >= 2) and time.monotonic() < until:
        time.sleep(0.005)
        loaded = kept.load()
        state = loaded[1] if loaded else state
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=10)
    assert killed.returncode == -signal.SIGKILL
    loaded = kept.load()
    assert loaded is not None, "the file is whole whenever it is killed"
    assert 1 <= loaded[1]["epoch"] < LOOP["epochs"]

    again = _process(tmp_path / "killed", toy=TOY, loop=LOOP)
    for process in (whole, again):
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    one, other = (Checkpoints(tmp_path / name / "ended.safetensors", "ended").load() for name in ("whole", "killed"))
    assert one is not None
    assert other is not None
    assert equal(one[0], other[0]), "bit by bit"
    assert one[1] == other[1], "and the same history"


def _state(value: float) -> dict[str, torch.Tensor]:
    return {"weights": torch.full((3,), value)}


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "c.safetensors", "mine")
    assert kept.load() is None
    kept.save(_state(1.5), {"epoch": 4, "best": 0.25})
    loaded = kept.load()
    assert loaded is not None
    assert loaded[1] == {"epoch": 4, "best": 0.25}
    assert torch.equal(loaded[0]["weights"], _state(1.5)["weights"])


def test_a_checkpoint_of_something_else_is_ignored(tmp_path: Path) -> None:
    Checkpoints(tmp_path / "c.safetensors", "another").save(_state(1), {"epoch": 1})
    assert Checkpoints(tmp_path / "c.safetensors", "mine").load() is None


@pytest.mark.parametrize("left", [0, 4, 40, 100])
def test_a_torn_checkpoint_is_ignored(tmp_path: Path, left: int) -> None:
    kept = Checkpoints(tmp_path / "c.safetensors", "mine")
    kept.save(_state(1), {"epoch": 1})
    kept.path.write_bytes(kept.path.read_bytes()[:left])
    assert kept.load() is None


def test_on_batch_a_copy_lies_in_s3_and_a_new_host_begins_from_it(cloud: Cloud, tmp_path: Path) -> None:
    del cloud  # the account it opened is what is used
    times = iter([0.0, COPY_SECONDS / 2, COPY_SECONDS])
    first = Checkpoints(tmp_path / "one/c.safetensors", "mine", ("models", "copy"), clock=lambda: next(times))
    first.save(_state(1), {"epoch": 1})
    assert objects.find("models", "copy") is None
    first.save(_state(2), {"epoch": 2})
    loaded = Checkpoints(tmp_path / "two/c.safetensors", "mine", ("models", "copy")).load()
    assert loaded is not None
    assert loaded[1] == {"epoch": 2}


def test_a_training_job_imports_no_compiler_and_no_onnx(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from modelmill.training import stages\n"
        "from modelmill.training.families import tabular, text\n"
        "from tests.unit.model.looping import main\n"
        "main(Path(sys.argv[1]), {'toy': {}, 'loop': {'epochs': 1, 'batch': 32, 'learning_rate': 0.1}})\n"
        "heavy = {'onnx', 'onnxruntime', 'pandas', 'sklearn', 'torch._dynamo', 'torch._inductor'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
