"""A trained model and rows in; its answers, batch by batch, out."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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


def answered(features: Features, rows: Rows, answer: Callable[[Arrays], Answers]) -> Answers:
    """What `answer` says of each row. Texts of one length are asked together: padding is then next to nothing."""
    order = _by_length(rows)
    found = np.concatenate([answer(arrays) for arrays in batches(features, rows.take(order))])
    back = np.empty_like(found)
    back[order] = found
    return back


def answers_of_rows(model: Model, features: Features, rows: Rows) -> Answers:
    """The model's answers float32 [rows, K]: probabilities, or the measure."""
    return answered(features, rows, lambda arrays: model.answers(arrays).numpy())


def _by_length(rows: Rows) -> NDArray[np.int64]:
    """Places of the rows, those with the shortest texts first."""
    lengths = np.zeros(len(rows), dtype=np.int64)
    for cells in rows.columns.values():
        if pa.types.is_string(cells.values.type) or pa.types.is_large_string(cells.values.type):
            lengths += pc.fill_null(pc.utf8_length(cells.values), 0).to_numpy().astype(np.int64)
    return np.argsort(lengths, kind="stable")
