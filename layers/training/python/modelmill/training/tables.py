"""How a table is prepared for every family that reads tables: rows in, the model's arrays and preprocess.json out."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from modelmill.serving.features import TabularFeatures
from modelmill.training.rows import Rows
from modelmill.training.run import Run

_MIN_ROWS_PER_VALUE = 3
_MAX_VALUES = 1_000


class Prepared(NamedTuple):
    """Both splits as `TabularFeatures` reads them, with their targets; fitted on the training rows alone.

    `sizes` counts the values of each category column, with 0 for what is missing, rare or was never seen.
    """

    preprocess: dict[str, Any]
    sizes: list[int]
    train: dict[str, Tensor]
    validation: dict[str, Tensor]
    train_target: Tensor
    validation_target: Tensor


def prepare(train: Rows, validation: Rows, run: Run) -> Prepared:
    """Category lists of the training rows; both splits as tensors."""
    numbers = [column.name for column in run.spec.inputs if column.kind == "number"]
    categories = [column.name for column in run.spec.inputs if column.kind != "number"]
    preprocess: dict[str, Any] = {"kind": "tabular", "numbers": numbers, **run.spec.reading(categories)}
    reader = TabularFeatures({**preprocess, "categories": []})
    preprocess["categories"] = [
        {"name": name, "values": _values([reader.category(cell, name) for cell in train.columns[name]])}
        for name in categories
    ]
    features = TabularFeatures(preprocess)
    return Prepared(
        preprocess,
        [len(column["values"]) + 1 for column in preprocess["categories"]],
        {name: torch.from_numpy(array) for name, array in features.arrays(train.columns).items()},
        {name: torch.from_numpy(array) for name, array in features.arrays(validation.columns).items()},
        run.objective.target(train),
        run.objective.target(validation),
    )


def _values(cells: Sequence[str]) -> list[str]:
    """The values worth a row of their own, most frequent first; rarer ones share the row of what was never seen."""
    found = Counter(cells)
    del found[""]
    kept = [value for value, rows in found.items() if rows >= _MIN_ROWS_PER_VALUE]
    return sorted(kept, key=lambda value: (-found[value], value))[:_MAX_VALUES]
