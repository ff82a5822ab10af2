"""A trained model and rows in; its answers, batch by batch, out."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelmill.serving.features import Arrays, Features
from modelmill.training.nets import Model
from modelmill.training.rows import Rows

BATCH = 32
"""Rows at a time: a padded batch of the longest texts stays within tens of megabytes."""
Answers = NDArray[np.float32]


def batches(features: Features, rows: Rows) -> Iterator[Arrays]:
    """The arrays of the rows, BATCH at a time."""
    for start in range(0, len(rows), BATCH):
        yield features.arrays(rows.part(start, start + BATCH))


def answers_of_rows(model: Model, features: Features, rows: Rows) -> Answers:
    """The model's answers float32 [rows, K]: probabilities, or the measure."""
    return np.concatenate([model.answers(arrays).numpy() for arrays in batches(features, rows)])
