"""Made-up images and sounds whose classes are known, and what trains a family on them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import soundfile
import torch
from numpy.typing import NDArray
from PIL import Image

from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Candidate, Column, RunSpec
from modelmill.core.model.task import Task
from modelmill.serving.features import Features
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.convert import session_of
from modelmill.training.nets import Model, Net, config_of, net_of
from modelmill.training.objective import Calibration, objective_of
from modelmill.training.rows import Cells, Rows
from modelmill.training.run import Run

RATE = 4_000


def png(pixels: NDArray[Any]) -> bytes:
    """A PNG of values from 0 to 255, [H, W] or [H, W, 3]."""
    target = io.BytesIO()
    Image.fromarray(np.asarray(pixels).clip(0, 255).astype(np.uint8)).save(target, "PNG")
    return target.getvalue()


def wav(samples: NDArray[Any], rate: int = RATE) -> bytes:
    """A WAV of samples from -1 to 1."""
    target = io.BytesIO()
    soundfile.write(target, samples, rate, format="WAV")
    return target.getvalue()


def arrows(rows: int, seed: int, *, colour: bool = False) -> tuple[list[bytes], NDArray[np.int64]]:
    """Wedges of 12 by 12 pixels that point left (0) or right (1): mirrored, one is the other."""
    chance, files = np.random.default_rng(seed), []
    labels = chance.integers(0, 2, rows)
    down, right = np.mgrid[:12, :12]
    for label in labels:
        middle, start = chance.integers(4, 8), chance.integers(1, 4)
        along = right - start if label else 11 - right - start
        wedge = (along >= 0) & (along < 7) & (np.abs(down - middle) * 2 <= 6 - along)
        pixels = wedge * 150 + chance.normal(50, 20, (12, 12))
        files.append(png(np.stack([pixels, pixels / 2, pixels / 3], axis=2) if colour else pixels))
    return files, labels


def rings(rows: int, seed: int) -> tuple[list[bytes], NDArray[np.int64]]:
    """Rings (1) and disks (0) of 12 by 12 pixels: mirrored, they stay what they are."""
    chance, files = np.random.default_rng(seed), []
    labels = chance.integers(0, 2, rows)
    down, right = np.mgrid[:12, :12]
    for label in labels:
        y, x = chance.uniform(4, 7, 2)
        away = np.hypot(down - y, right - x)
        shape = (away < 4) & (away > 2 * label)
        files.append(png(shape * 150 + chance.normal(50, 20, (12, 12))))
    return files, labels


def chirps(rows: int, seed: int) -> tuple[list[bytes], NDArray[np.int64]]:
    """Tones that rise (1) or fall (0), somewhere in a quarter to half a second of noise."""
    chance, files = np.random.default_rng(seed), []
    labels = chance.integers(0, 2, rows)
    for label in labels:
        length = int(chance.uniform(0.25, 0.5) * RATE)
        low, high = chance.uniform(300, 500), chance.uniform(900, 1_300)
        hertz = np.linspace(low, high, length) if label else np.linspace(high, low, length)
        tone = chance.uniform(0.05, 0.5) * np.sin(2 * np.pi * np.cumsum(hertz) / RATE)
        files.append(wav(tone + chance.normal(0, 0.01, length)))
    return files, labels


def rows_of(target: NDArray[Any], **columns: list[Any]) -> Rows:
    """Rows with these columns of files."""
    cells = {name: Cells(pa.chunked_array([pa.array(files, pa.large_binary())])) for name, files in columns.items()}
    return Rows(cells, target)


def run_of(  # noqa: PLR0917 - one run, said in one line
    rows: Rows, task: Task, folder: Path, family: str, hyper: dict[str, Any], weights: Path | None = None
) -> Run:
    """The run of one candidate on these rows."""
    kind: Any = task.partition("-")[0]
    count = rows.target.shape[1] if rows.target.ndim > 1 else int(rows.target.max()) + 1
    spec = RunSpec(
        run_id="r", tenant="t", dataset="d", dataset_version="v", data_prefix="p/", model="m", task=task, target="y",
        inputs=[Column(name=name, kind=kind) for name in rows.columns],
        labels=[] if task.endswith("regression") else [f"label {number}" for number in range(count)],
        candidates=[], recipe=Recipe(),
    )  # fmt: skip
    return Run(
        spec=spec,
        candidate=Candidate(name=family, family=family, hyperparameters=hyper),
        objective=objective_of(spec, rows),
        device=torch.device("cpu"),
        progress=lambda _done, _line: None,
        checkpoints=Checkpoints(folder / "checkpoint.safetensors", "f"),
        weights=weights,
    )


def equal_in_onnx(net: Net, preprocess: dict[str, Any], rows: Rows, run: Run) -> NDArray[np.float32]:
    """The answers of onnxruntime, which are those of the net, those of the net rebuilt, and those of each row alone."""
    kept = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    rebuilt = net_of(config_of(net), kept)
    calibration = Calibration()
    ours = [Model(each, run.objective, calibration) for each in (net.eval(), rebuilt)]
    session, features = session_of(ours[0].onnx()), Features(preprocess)
    arrays = features.arrays(rows.columns)
    found: NDArray[np.float32] = session.run(None, arrays)[0]
    for model in ours:
        assert np.abs(model.answers(arrays).numpy() - found).max() < 1e-4
    for row in range(3):
        alone = session.run(None, features.arrays(rows.part(row, row + 1)))[0]
        assert np.abs(alone - found[row : row + 1]).max() < 1e-5
    return found
