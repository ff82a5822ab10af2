"""Rows of texts and a run over them, without a cloud."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Candidate, Column, RunSpec
from modelmill.core.model.task import Task
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.objective import objective_of
from modelmill.training.rows import Cells, Rows
from modelmill.training.run import Run

LABELS = ("bad", "good", "so so")


def rows_of(columns: dict[str, Sequence[str | None]], target: NDArray[Any]) -> Rows:
    """Rows with those texts."""
    cells = {name: Cells(pa.chunked_array([pa.array(values, pa.string())])) for name, values in columns.items()}
    return Rows(cells, target)


def run_of(folder: Path, rows: Rows, task: Task = "text-classification", labels: int = 2, **recipe: Any) -> Run:
    """A run that learns those rows."""
    spec = RunSpec(
        run_id="r1",
        tenant="default",
        dataset="d",
        dataset_version="v",
        data_prefix="",
        model="m",
        task=task,
        target="label",
        inputs=[Column(name=name, kind="text") for name in rows.columns],
        labels=list(LABELS[:labels]),
        candidates=[],
        recipe=Recipe(**recipe),
    )
    return Run(
        spec=spec,
        candidate=Candidate(name="c", family="ngram-linear"),
        objective=objective_of(spec, rows),
        device=torch.device("cpu"),
        progress=lambda _done, _line: None,
        checkpoints=Checkpoints(folder / "checkpoint", "f", None),
    )


def stories(count: int, seed: int, classes: int = 2) -> Rows:
    """Texts of common words and a few that tell the class, most of them met in one inflection only."""
    random = np.random.default_rng(seed)
    told = (("awful", "torn"), ("lovely", "perfect"), ("average", "usual"))
    common = [f"word{number}" for number in range(60)]
    target = random.integers(0, classes, count)
    texts = [
        " ".join([*random.choice(common, 8), str(random.choice(told[label])) + str(random.choice(["", "ly", "ness"]))])
        for label in target
    ]
    return rows_of({"text": texts}, target.astype(np.int64))
