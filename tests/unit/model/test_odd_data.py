"""Data at the edges of what preprocessing lets through: every candidate must end as a package."""

from typing import Any

import pytest

from modelmill.core.model.task import Task
from tests.unit.model.samples import Cells
from tests.unit.model.world import Cloud


def _splits(cells: dict[str, list[Any]], labels: list[str]) -> dict[str, Cells]:
    whole: Cells = {**cells, "label": labels}
    return {
        "train": {name: values[:-8] for name, values in whole.items()},
        "validation": {name: values[-8:-4] for name, values in whole.items()},
        "test": {name: values[-4:] for name, values in whole.items()},
    }


ROWS = 24
TWO = ["yes", "no"] * (ROWS // 2)
TABLES: dict[str, tuple[dict[str, str], Cells, list[str]]] = {
    "one number": ({"x": "number"}, {"x": [float(row) for row in range(ROWS)]}, TWO),
    "one category": ({"c": "category"}, {"c": ["a", "b"] * (ROWS // 2)}, TWO),
    "constant and empty": (
        {"x": "number", "y": "number", "c": "category"},
        {"x": [5.0] * ROWS, "y": [None, 1.0] + [None] * (ROWS - 2), "c": [None, "a"] + [None] * (ROWS - 2)},
        TWO,
    ),
    "huge and tiny": (
        {"x": "number", "y": "number"},
        {"x": [1e300, -1e300] * (ROWS // 2), "y": [1e-300 * row for row in range(ROWS)]},
        TWO,
    ),
    "a class for every four rows": (
        {"x": "number"},
        {"x": [float(row % 6) for row in range(ROWS)]},
        [f"class {row % 6}" for row in range(ROWS)],
    ),
    "wide": (
        {f"x{index}": "number" for index in range(1_500)},
        {f"x{index}": [float((row * index) % 7) for row in range(ROWS)] for index in range(1_500)},
        TWO,
    ),
}


@pytest.mark.parametrize("candidate", ["linear", "tabm", "boosting"])
@pytest.mark.parametrize("name", TABLES)
def test_odd_tables_end_as_packages(cloud: Cloud, name: str, candidate: str) -> None:
    inputs, cells, labels = TABLES[name]
    _ends_as_package(cloud, "tabular-classification", candidate, inputs, _splits(cells, labels))


@pytest.mark.parametrize("candidate", ["ngram-linear", "ngram-embedding"])
@pytest.mark.parametrize(
    "cells",
    [
        {"t": ["good thing", "bad thing"] * (ROWS // 2)},
        {"t": ["好的酒店", "房间很差"] * (ROWS // 2)},
        {"t": ["fine", None] * (ROWS // 2), "u": [None, "poor"] * (ROWS // 2)},
        {"t": ["one word " * 6_000, "another"] * (ROWS // 2)},
    ],
    ids=["short", "Chinese", "two columns with gaps", "very long"],
)
def test_odd_texts_end_as_packages(cloud: Cloud, cells: Cells, candidate: str) -> None:
    _ends_as_package(cloud, "text-classification", candidate, dict.fromkeys(cells, "text"), _splits(cells, TWO))


def _ends_as_package(
    cloud: Cloud, task: Task, candidate: str, inputs: dict[str, str], splits: dict[str, Cells]
) -> None:
    cloud.put_run("r1", task, inputs, splits)
    assert cloud.job("train", "r1", candidate) == 0
    assert cloud.job("package", "r1", candidate) == 0
    metrics = cloud.json("default/runs/r1/package.json")["metrics"]
    assert 0 <= metrics["accuracy"]["value"] <= 1
