"""Sides of the split: where rows fall and the rules in; train, validation or test for each row, out."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from modelmill.frames.decide import Decisions
from modelmill.frames.digests import Words
from modelmill.frames.numbered import Integers
from modelmill.frames.settle import Settled
from modelmill.frames.tally import ANY, coded
from modelmill.frames.transform import FALL, GIVEN

_TRAIN, _VALIDATION, _TEST = range(3)


def place(falls: Words, codes: Integers, names: Sequence[str], given: Integers, settled: Settled) -> Integers:
    """The index in SPLITS for each row: of a class (`codes`, indices in `names`), by its fall, or as given."""
    edges = [settled.edges.get(name, settled.other) for name in names]
    first = np.array([edge[0] for edge in edges] or [0], np.uint64)
    second = np.array([edge[1] for edge in edges] or [0], np.uint64)
    placed = 2 - (falls < first[codes]).astype(np.int64) - (falls < second[codes])
    sides = placed if settled.by_time else np.array([_VALIDATION, _TEST, _TRAIN])[placed]
    return np.where(given > 1, given - 1, sides)


def classes(codes: Integers, labels: Sequence[str], settled: Settled) -> tuple[Integers, Sequence[str]]:
    """Codes and names of the classes that rows are placed by: one for all of them where classes do not matter."""
    return (codes, labels) if settled.by_class else (np.zeros(len(codes), np.int64), [ANY])


def sides_of(examples: pa.RecordBatch, decisions: Decisions, settled: Settled) -> Integers:
    """The same for a batch of examples."""
    codes, names = classes(*coded(examples.column(decisions.target), decisions), settled)
    given = examples.column(GIVEN).to_numpy().astype(np.int64)
    return place(examples.column(FALL).to_numpy(), codes, names, given, settled)
