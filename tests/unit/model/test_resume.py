"""Interruptions: a job that is stopped and started again ends with the weights of one that never stopped."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from modelmill.aws import objects
from modelmill.training.checkpoints import COPY_SECONDS, Checkpoints
from tests.unit.model.samples import MEASURED_INPUTS, MEASURED_SPLITS
from tests.unit.model.world import Cloud

WEIGHTS = "default/runs/{}/candidates/mlp/weights.safetensors"


def _terminate_after_first_checkpoint(path: Path) -> threading.Thread:
    def wait() -> None:
        while not path.exists():
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_spot_interruption_and_a_second_attempt_give_the_same_weights(cloud: Cloud) -> None:
    cloud.put_run("whole", "tabular-classification", MEASURED_INPUTS, MEASURED_SPLITS)
    cloud.put_run("parts", "tabular-classification", MEASURED_INPUTS, MEASURED_SPLITS)
    assert cloud.job("train", "whole", "mlp") == 0
    checkpoint = cloud.root / "checkpoints/mlp.safetensors"
    checkpoint.unlink()

    killer = _terminate_after_first_checkpoint(checkpoint)
    with pytest.raises(SystemExit) as stopped:
        cloud.job("train", "parts", "mlp")
    killer.join()
    assert stopped.value.code == 128 + signal.SIGTERM
    assert objects.find("models", WEIGHTS.format("parts")) is None
    assert objects.find("models", "default/runs/parts/candidates/mlp/failure.json") is None
    assert [stage["status"] for stage in cloud.stages("parts")] == ["RUNNING"]

    assert cloud.job("train", "parts", "mlp") == 0
    assert objects.get("models", WEIGHTS.format("parts")) == objects.get("models", WEIGHTS.format("whole"))
    first, second = (cloud.json(f"default/runs/{run}/candidates/mlp/result.json") for run in ("whole", "parts"))
    assert second["log_loss"] == first["log_loss"]


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
    times = iter([0.0, COPY_SECONDS / 2, COPY_SECONDS, COPY_SECONDS])
    first = Checkpoints(tmp_path / "one/c.safetensors", "mine", ("models", "copy"), clock=lambda: next(times))
    first.save(_state(1), {"epoch": 1})
    assert objects.find("models", "copy") is None
    first.save(_state(2), {"epoch": 2})
    loaded = Checkpoints(tmp_path / "two/c.safetensors", "mine", ("models", "copy")).load()
    assert loaded is not None
    assert loaded[1] == {"epoch": 2}


def test_a_training_job_imports_no_compiler_and_no_onnx() -> None:
    code = (
        "import sys, torch, numpy as np\n"
        "from pathlib import Path\n"
        "from modelmill.core.model.spec import RunSpec, Column, Candidate\n"
        "from modelmill.core.model.recipe import Recipe\n"
        "from modelmill.training import stages\n"
        "from modelmill.training.families import family_of\n"
        "from modelmill.training.loop import Run\n"
        "from modelmill.training.rows import Rows\n"
        "from modelmill.training.checkpoints import Checkpoints\n"
        "import tempfile\n"
        "rows = Rows({'x': [0.0, 1.0] * 20}, np.array([0, 1] * 20))\n"
        "spec = RunSpec(run_id='r', tenant='t', dataset='d', dataset_version='v', data_prefix='p/', model='m',\n"
        "    task='tabular-classification', target='y', inputs=[Column(name='x', kind='number')], labels=['a', 'b'],\n"
        "    candidates=[], recipe=Recipe())\n"
        "run = Run(7, torch.device('cpu'), print, Checkpoints(Path(tempfile.mkdtemp()) / 'c', 'f'))\n"
        "for family in ('linear', 'mlp'):\n"
        "    family_of(Candidate(name=family, family=family)).fit(rows, rows, spec, run)\n"
        "heavy = {'onnx', 'onnxruntime', 'pandas', 'sklearn', 'torch._dynamo', 'torch._inductor'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
