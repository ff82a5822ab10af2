"""Settling: the tally of all parts in; on which side of the split each row falls, as rules for any bucket, out."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.core.limits import LEAVE_ONE_OUT_ROWS
from modelmill.core.model.recipe import Recipe
from modelmill.frames.decide import Decisions
from modelmill.frames.digests import Words, mixed
from modelmill.frames.tally import ANY, ClassTally, Tally

_REPEATED = 0.2
"""Above this share repeated rows are not accidents but what such data are: few columns of few values."""
_MOST_EXPANDED = 65_536
_WHOLE = 2**64
Edges = tuple[int, int]


class Settled(BaseModel):
    """Rules for placing rows. One whose fall is below the first edge of its class is for validation (for training,
    where `by_time`), below the second for the test (validation), else for training (the test).
    """

    model_config = ConfigDict(frozen=True)
    edges: dict[str, Edges]
    other: Edges
    """Of classes with too many rows to be known one by one: shares of the range of falls."""
    by_class: bool
    by_time: bool
    keep_repeated: bool
    drop_near: bool
    rare: list[str]
    folds: int | None
    """0 for leave-one-out."""
    warnings: list[DataWarning]


def settle(tally: Tally, decisions: Decisions, recipe: Recipe) -> Settled:
    """The rules for the rows of this tally; raises Rejected (`bad_recipe`)."""
    keep = _keeps_repeated(tally, decisions, recipe)
    shares = _shares(tally, decisions, recipe)
    by_class = decisions.by in ("stratified", "given") and not decisions.is_regression
    values = {name: _falls(each, keep=keep and decisions.by != "group") for name, each in tally.classes.items()}
    sides = 1 + sum(share > 0 for share in shares)
    rare = (
        sorted(name for name, falls in values.items() if falls is not None and len(falls) < sides) if by_class else []
    )
    exact = {name: _edges(falls, shares) for name, falls in values.items() if falls is not None and name not in rare}
    folds = recipe.split.folds
    if folds == "leave-one-out" and tally.usable > LEAVE_ONE_OUT_ROWS:
        raise Rejected(
            "bad_recipe",
            f"split.folds: leave-one-out trains a model for each of {tally.usable:,} rows",
            limit=LEAVE_ONE_OUT_ROWS,
            hint="say how many folds: `split: {folds: 5}`",
        )
    return Settled(
        edges={ANY: _time_edges(tally, shares)} if decisions.by == "time" else exact,
        other=(int(shares[0] * _WHOLE), int((shares[0] + shares[1]) * _WHOLE)),
        by_class=by_class,
        by_time=decisions.by == "time",
        keep_repeated=keep,
        drop_near=recipe.clean.near_duplicates == "drop",
        rare=rare,
        folds=0 if folds == "leave-one-out" else folds,
        warnings=_warnings(tally, decisions, values),
    )


def _keeps_repeated(tally: Tally, decisions: Decisions, recipe: Recipe) -> bool:
    if recipe.clean.duplicates != "auto":
        return recipe.clean.duplicates == "keep"
    repeated = tally.usable - min(tally.usable, tally.identities.get_estimate())
    return bool(decisions.is_tabular and repeated > _REPEATED * tally.usable)


def _shares(tally: Tally, decisions: Decisions, recipe: Recipe) -> tuple[float, float]:
    """Shares of validation and test among the rows that are to be placed."""
    split = recipe.split
    validation = 0.0 if split.folds is not None else split.validation
    if decisions.by != "given":
        return validation, split.test
    has_validation, has_test = tally.sides[2] > 0, tally.sides[3] > 0
    validation, test = 0.0 if has_validation else validation, 0.0 if has_test else split.test
    rest = split.train + validation + test
    return validation / rest, test / rest


def _falls(tally: ClassTally, *, keep: bool) -> Words | None:
    """Where the rows of a class fall, sorted; None if there are too many. Of repeated rows that are kept, each."""
    if tally.falls is None or tally.counts is None:
        return None
    if not keep:
        return tally.falls
    if tally.counts.sum() > _MOST_EXPANDED:
        return None
    starts = np.cumsum(tally.counts) - tally.counts
    number = (np.arange(tally.counts.sum()) - np.repeat(starts, tally.counts)).astype(np.uint64)
    return np.sort(mixed(np.repeat(tally.falls, tally.counts), number))


def _edges(falls: Words, shares: tuple[float, float]) -> Edges:
    """Edges so that each side gets its share of these falls, and at least one."""
    validation, test = sizes(len(falls), shares)
    first = int(falls[validation - 1]) + 1 if validation else 0
    return first, int(falls[validation + test - 1]) + 1 if test else first


def sizes(rows: int, shares: tuple[float, float]) -> tuple[int, int]:
    """Rows for validation and for test, at least one for each side that has a share; one or more are left for train."""
    one, two = int(shares[0] > 0), int(shares[1] > 0)
    validation = min(max(one, round(rows * shares[0])), max(0, rows - 1 - two)) if one else 0
    test = min(max(two, round(rows * shares[1])), max(0, rows - 1 - validation)) if two else 0
    return validation, test


def _time_edges(tally: Tally, shares: tuple[float, float]) -> Edges:
    """The earliest rows are for training, the latest for the test; rows of one time fall together."""
    if tally.times.is_empty():
        return 0, 0
    train, validation = 1 - sum(shares), 1 - shares[1]
    return int(tally.times.get_quantile(train)) + 1, int(tally.times.get_quantile(validation)) + 1


def _warnings(tally: Tally, decisions: Decisions, values: dict[str, Words | None]) -> list[DataWarning]:
    read = tally.usable + tally.reasons.total()
    unlabelled = tally.reasons["missing_target"]
    found = []
    if unlabelled > 0.05 * read:
        text = f"{unlabelled:,} of {read:,} rows have no target (empty, or NA, null, ? and their like); left out"
        found.append(DataWarning(code="unlabelled_rows", message=text))
    groups = values.get(ANY)
    if decisions.by == "group" and groups is not None and len(groups) < 10:
        text = f"column {decisions.group!r} has {len(groups)} groups only: the shares of the split are rough"
        found.append(DataWarning(code="few_groups", message=text))
    return found
