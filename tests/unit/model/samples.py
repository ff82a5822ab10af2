"""Made-up data whose answer is known: words and numbers that tell the class, with noise."""

import random
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelmill.training.rows import Cells as Column
from modelmill.training.rows import Rows

Cells = dict[str, list[Any]]
_GOOD = ("lovely", "great", "perfect", "soft", "well made")
_BAD = ("awful", "returned", "scratchy", "too small", "fell apart")
_OTHER = ("the", "dress", "shirt", "colour", "size", "it", "was", "and", "ordered", "fits")


def reviews(rows: int, seed: int, noise: float = 0.1) -> Cells:
    """Columns `text` and `label` (yes/no); a share `noise` of the labels is wrong."""
    chance = random.Random(seed)
    cells: Cells = {"text": [], "label": []}
    for _ in range(rows):
        good = chance.random() < 0.6
        words = chance.choices(_OTHER, k=chance.randint(3, 20)) + chance.choices(_GOOD if good else _BAD, k=2)
        chance.shuffle(words)
        cells["text"].append(" ".join(words))
        cells["label"].append("yes" if good != (chance.random() < noise) else "no")
    return cells


def measurements(rows: int, seed: int) -> Cells:
    """Numbers `width` (some missing) and `weight` (heavy tail), category `colour`, three labels."""
    chance = random.Random(seed)
    cells: Cells = {"width": [], "weight": [], "colour": [], "label": []}
    for _ in range(rows):
        width, colour = chance.gauss(0, 1), chance.choice(["red", "green", "blue", "black"])
        label = "a" if width + (colour == "red") > 0.8 else "b" if colour == "blue" else "c"
        cells["width"].append(None if chance.random() < 0.1 else width)
        cells["weight"].append(chance.lognormvariate(0, 3))
        cells["colour"].append(None if chance.random() < 0.1 else colour)
        cells["label"].append(label)
    return cells


REVIEW_SPLITS = {"train": reviews(400, 1), "validation": reviews(220, 2), "test": reviews(200, 3)}
REVIEW_INPUTS = {"text": "text"}
MEASURED_SPLITS = {"train": measurements(600, 1), "validation": measurements(220, 2), "test": measurements(200, 3)}
MEASURED_INPUTS = {"width": "number", "weight": "number", "colour": "category"}


def rows_of(columns: Cells, target: NDArray[Any]) -> Rows:
    """Rows of Python columns."""
    return Rows({name: Column(pa.chunked_array([pa.array(cells)])) for name, cells in columns.items()}, target)


def labelled(cells: Cells, labels: list[str]) -> Rows:
    """Rows of a sample whose column `label` holds classes."""
    columns = {name: values for name, values in cells.items() if name != "label"}
    return rows_of(columns, np.array([labels.index(label) for label in cells["label"]], dtype=np.int64))
