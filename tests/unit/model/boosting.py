"""Runs of the family for tests: an objective or made-up columns in, a Run and its rows out."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Candidate, Column, RunSpec
from modelmill.core.model.task import Task
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.objective import Objective, objective_of
from modelmill.training.rows import Cells, Rows
from modelmill.training.run import Run


def spec_of(task: Task, inputs: dict[str, Any], labels: list[str]) -> RunSpec:
    """The run of a table; `inputs` are its columns, of numbers or of words."""
    words = {name: any(isinstance(cell, str) for cell in cells) for name, cells in inputs.items()}
    return RunSpec(
        run_id="r1",
        tenant="default",
        dataset="things",
        dataset_version="v1",
        data_prefix="default/datasets/things/v1/",
        model="things",
        task=task,
        target="label",
        inputs=[Column(name=name, kind="category" if words[name] else "number") for name in inputs],
        labels=labels,
        candidates=[Candidate(name="boosting", family="boosting")],
        recipe=Recipe(),
    )


def run_of(objective: Objective, spec: RunSpec | None = None) -> Run:
    """A run that nobody watches."""
    spec = spec or spec_of("tabular-classification", {"x": [0.0]}, ["a", "b"])
    return Run(
        spec=spec,
        candidate=spec.candidates[0],
        objective=objective,
        device=torch.device("cpu"),
        progress=lambda _done, _line: None,
        checkpoints=Checkpoints(Path("unused"), "unused"),
    )


def table(task: Task, inputs: dict[str, Any], target: np.ndarray, labels: list[str]) -> tuple[Rows, Run]:
    """Rows of the columns and the run that learns `target` from them."""
    spec = spec_of(task, inputs, labels)
    rows = Rows({name: Cells(pa.chunked_array([cells])) for name, cells in inputs.items()}, target)
    return rows, run_of(objective_of(spec, rows), spec)
