"""Which rows a candidate learns from and which it is measured on: splits and the recipe in, folds out.

Rows are dealt to folds by what they say, not by where they stand: equal rows (texts: nearly equal) fall into one fold,
and the same rows fall alike however the version's files are cut. Classes, rare tags and values are spread evenly.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelmill.core.errors import Rejected
from modelmill.core.limits import LEAVE_ONE_OUT_ROWS
from modelmill.core.model.spec import RunSpec
from modelmill.core.model.task import answers_of, reads_of
from modelmill.frames.digests import Joined
from modelmill.training.rows import Rows

FEW_ROWS = 10_000
"""Below it, the validation rows alone tell candidates apart too badly, and five fits cost little."""
_QUANTILES = 10
Places = NDArray[np.int64]
Method = Literal["hold-out", "folds", "nested"]


class Fold(NamedTuple):
    """Places among the training rows followed by the validation rows."""

    learnt: Places
    held_out: Places


class Plan(NamedTuple):
    """How a candidate is measured. Of a nested plan, `folds` are the outer ones."""

    method: Method
    folds: list[Fold]


def plan_of(train: Rows, validation: Rows, spec: RunSpec, *, costly: bool) -> Plan:
    """The recipe's choice; under `auto`, five folds of few rows that may be mixed, unless fits are `costly`.

    Raises Rejected (`bad_recipe`) for leave-one-out of too many rows.
    """
    rows, wanted = train + validation, spec.recipe.selection
    auto = wanted.method == "auto"
    if wanted.method == "hold-out" or (auto and costly):
        return _hold_out(train, validation)
    method: Method = "nested" if wanted.method == "nested" else "folds"
    if rows.folds is not None and len(np.unique(rows.folds[rows.folds >= 0])) > 1:
        return Plan(method, _as_folds(rows.folds))
    if auto and (len(rows) >= FEW_ROWS or not spec.mixable):
        return _hold_out(train, validation)
    if wanted.method == "leave-one-out" and len(rows) > LEAVE_ONE_OUT_ROWS:
        text = f"selection.method: leave-one-out of {len(rows):,} rows"
        hint = "say `method: folds`, which tells as much"
        raise Rejected("bad_recipe", text, limit=LEAVE_ONE_OUT_ROWS, hint=hint)
    folds = deal(rows, spec, len(rows) if wanted.method == "leave-one-out" else wanted.folds)
    return Plan(method, folds) if folds else _hold_out(train, validation)


def _hold_out(train: Rows, validation: Rows) -> Plan:
    rows = len(train) + len(validation)
    return Plan("hold-out", [Fold(np.arange(len(train)), np.arange(len(train), rows))])


def deal(rows: Rows, spec: RunSpec, count: int) -> list[Fold]:
    """At most `count` folds of the rows; none where there are too few different rows for two.

    The only row of a class (or several that are equal) is never held out: who has not seen a class cannot know it.
    """
    content = _content(rows, spec)
    strata = _strata(rows, spec)
    _, first, group = np.unique(content, return_index=True, return_inverse=True)
    stratum = strata[first]  # equal rows of different classes stay together: with the first
    names, sizes = np.unique(stratum, return_counts=True)
    alone = (
        np.isin(stratum, names[sizes == 1]) if answers_of(spec.task) == "classification" else np.zeros(len(first), bool)
    )
    order = np.lexsort((np.arange(len(first)), stratum, alone))[: int((~alone).sum())]
    count = min(count, len(order))
    if count < 2:
        return []
    number = np.full(len(first), -1, dtype=np.int64)
    number[order] = np.arange(len(order)) % count
    return _as_folds(number[group])


def _as_folds(number: Places) -> list[Fold]:
    """The folds of rows that are numbered by fold; rows with a number below 0 are learnt in all of them."""
    folds = np.unique(number[number >= 0])
    return [Fold(np.flatnonzero(number != fold), np.flatnonzero(number == fold)) for fold in folds.tolist()]


def _content(rows: Rows, spec: RunSpec) -> NDArray[np.uint64]:
    """A word a row, of its inputs and the seed."""
    columns = [_strings(cells.values) for cells in rows.columns.values()]
    digests = Joined.of(columns).digests(spec.recipe.seed, folded=reads_of(spec.task) == "text")
    return np.ascontiguousarray(digests[:, 0])


def _strings(values: pa.ChunkedArray) -> pa.Array:
    """A column as one array of strings; of images and sounds, their digests."""
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return pa.array(
            [None if cell is None else blake2b(cell).hexdigest() for cell in values.to_pylist()], pa.string()
        )
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)


def _strata(rows: Rows, spec: RunSpec) -> Places:
    """What is spread evenly over the folds: the class, the rarest tag of a row (-1: none), the tenth of the values."""
    answers = answers_of(spec.task)
    if answers == "classification":
        return rows.target
    if answers == "multilabel":
        return _rarest(rows.target)
    ranks = np.argsort(np.argsort(rows.target, kind="stable"), kind="stable")
    return np.asarray(ranks * _QUANTILES // max(len(ranks), 1), dtype=np.int64)


def _rarest(tags: NDArray[np.float32]) -> Places:
    frequency = tags.sum(axis=0)
    rarest = np.where(tags > 0, frequency, np.inf).argmin(axis=1)
    return np.where(tags.any(axis=1), rarest, -1).astype(np.int64)


def names_of(folds: Sequence[Fold]) -> list[str]:
    """What each fit is called where people read of it."""
    count = len(folds)
    return [f"fold {number} of {count}" for number in range(1, count + 1)] if count > 1 else ["first fit"]
