"""Splitting: usable rows with their digests in, the rows of train, validation and test out.

Which split a row falls into, and its place there, follow from its content and the seed, not from its place in the file.
"""

from collections.abc import Sequence

import numpy as np

from modelmill.core.data.split import SPLITS, split_sizes
from modelmill.core.model.recipe import Split
from modelmill.frames.quarantine import Integers


def split_rows(digests: Sequence[bytes], labels: Sequence[str], split: Split) -> dict[str, Integers]:
    """Row indices of each split, stratified by class, every class in each; needs MIN_ROWS_PER_CLASS rows per class."""
    halves = np.frombuffer(b"".join(digests), ">u8").reshape(-1, 2)
    _, classes = np.unique(np.asarray(labels, dtype=object).astype(str), return_inverse=True)
    order = np.lexsort((halves[:, 1], halves[:, 0], classes))
    place = np.empty(len(order), np.int64)
    start = 0
    for count in np.bincount(classes).tolist():
        train, validation, test = split_sizes(count, split)
        place[order[start : start + count]] = np.repeat([1, 2, 0], [validation, test, train])
        start += count
    by_content = np.lexsort((classes, halves[:, 1], halves[:, 0]))
    return {name: by_content[place[by_content] == index] for index, name in enumerate(SPLITS)}
