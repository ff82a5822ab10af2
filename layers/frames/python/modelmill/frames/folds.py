"""Folds of the rows that are not for the test: where rows of each class fall in; rules that number any row's fold, out.

Each class is cut into folds of equally many falls. What has one fall (rows of one group, nearly equal texts) has one
fold.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from modelmill.frames.digests import Words
from modelmill.frames.numbered import Integers

_WHOLE = 2**64


class Folds(BaseModel):
    """Where the second and each later fold begins: of classes that are known row by row, and of the others."""

    model_config = ConfigDict(frozen=True)
    starts: dict[str, list[int]]
    other: list[int]


def fold_rules(falls: Mapping[str, Words], least: int, folds: int) -> Folds:
    """Rules for so many folds of these sorted falls by class; those of other classes lie from `least` on."""
    starts, taken = {}, 0
    for name, each in falls.items():
        # The odd rows of a class go on where those of the class before ended, so that all folds are equally large.
        more = np.isin((np.arange(folds) - taken) % folds, np.arange(len(each) % folds))
        ends = np.cumsum(len(each) // folds + more.astype(np.int64))[:-1].tolist()
        starts[name] = [int(each[end]) if end < len(each) else _WHOLE - 1 for end in ends]
        taken += len(each)
    return Folds(starts=starts, other=[least + (_WHOLE - least) * fold // folds for fold in range(1, folds)])


def fold_of(falls: Words, codes: Integers, names: Sequence[str], rules: Folds) -> Integers:
    """The fold of each row of a class (`codes`, indices in `names`), by its fall."""
    starts = np.array([rules.starts.get(name, rules.other) for name in names], np.uint64).reshape(
        len(names), len(rules.other)
    )
    found = np.zeros(len(falls), np.int64)
    for start in starts.T:
        found += falls >= start[codes]
    return found
