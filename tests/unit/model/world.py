"""A cloud in memory with runs in it: what the jobs read is put there, what they write is read there."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modelmill.aws import objects
from modelmill.aws.records import pipelines
from modelmill.core.data.split import files_of
from modelmill.core.model.candidates import PRESETS, candidates_for
from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Column, RunSpec
from modelmill.core.model.task import TAG_SEPARATOR, Task, answers_of, reads_of
from modelmill.training.__main__ import main

Cells = dict[str, list[Any]]


@dataclass(slots=True)
class Cloud:
    """Puts runs into the mocked account and runs their jobs in this process."""

    root: Path
    specs: dict[str, RunSpec] = field(default_factory=dict)

    def put_run(
        self, run_id: str, task: Task, inputs: dict[str, str], splits: dict[str, Cells], files: int = 1, **recipe: Any
    ) -> RunSpec:
        """Store a dataset version (each split in so many files) and the run's specification; the target is `label`."""
        chosen = Recipe(**recipe)
        spec = RunSpec(
            run_id=run_id,
            tenant="default",
            dataset="things",
            dataset_version="v1",
            data_prefix="default/datasets/things/v1/",
            files=files,
            model="things",
            task=task,
            target="label",
            inputs=[Column(name=name, kind=kind) for name, kind in inputs.items()],
            labels=_labels(task, splits),
            candidates=candidates_for(task, chosen.candidates or _known(task), chosen.preset, chosen.search),
            recipe=chosen,
        )
        for split, cells in splits.items():
            table = pa.table(cells)
            rows = -(-table.num_rows // files)
            for index, name in enumerate(files_of(split, files)):
                sink = pa.BufferOutputStream()
                pq.write_table(table.slice(index * rows, rows), sink)
                objects.put("data", spec.data_prefix + name, sink.getvalue().to_pybytes())
        objects.put("data", spec.data_prefix + "profile.bin", b"profile")
        objects.put("models", f"default/runs/{run_id}/spec.json", spec.model_dump_json().encode())
        self.specs[run_id] = spec
        return spec

    def job(self, stage: str, run_id: str, candidate: str) -> int:
        """The exit code of one job started as Batch starts it."""
        return main(["--stage", stage, "--run", f"s3://models/default/runs/{run_id}/", "--candidate", candidate])

    def json(self, key: str) -> Any:
        """A JSON object of the models bucket."""
        return json.loads(objects.get("models", key))

    def stages(self, run_id: str) -> list[dict[str, Any]]:
        """What the run's record says of its stages."""
        return pipelines.stages("default", run_id)


def _labels(task: Task, splits: dict[str, Cells]) -> list[str]:
    """The names of classes or tags in the target; none for a measure."""
    cells = [cell for each in splits.values() for cell in each["label"]]
    if answers_of(task) == "regression":
        return []
    split = answers_of(task) == "multilabel"
    return sorted({label for cell in cells for label in (cell.split(TAG_SEPARATOR) if split else [cell]) if label})


def _known(task: Task) -> list[str]:
    """Every candidate of the task, whatever the preset."""
    return list({candidate.name: None for each in PRESETS[reads_of(task)].values() for candidate in each})
