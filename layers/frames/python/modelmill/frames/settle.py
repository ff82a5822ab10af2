"""Settling: the tally of all parts in; on which side of the split each row falls, as rules for any bucket, out."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.core.limits import LEAVE_ONE_OUT_ROWS
from modelmill.core.model.recipe import Recipe
from modelmill.frames.decide import Decisions
from modelmill.frames.digests import Words, mixed
from modelmill.frames.folds import Folds, fold_rules
from modelmill.frames.tally import ANY, ClassTally, Tally

_REPEATED = 0.2
"""Above this share repeated rows are not accidents but what such data are: few columns of few values."""
_MOST_EXPANDED = 65_536
_WHOLE = 2**64
Edges = tuple[int, int]


class Settled(BaseModel):
    """Rules for placing rows.

    A row whose fall is below the first edge of its class is for validation (for training, where `by_time`), below the
    second for the test (validation), else for training (the test).
    """

    model_config = ConfigDict(frozen=True)
    edges: dict[str, Edges]
    other: Edges
    """Of classes with too many rows to be known one by one: shares of the range of falls."""
    by_class: bool
    by_time: bool
    keep_repeated: bool
    spread: bool
    """Rows of a table with equal inputs are spread over the sides."""
    drop_near: bool
    rare: list[str]
    folds: int | None
    """0 for leave-one-out."""
    fold_rules: Folds
    gives_validation: bool
    """Some rows are given for validation; where none are, the first fold is it."""
    warnings: list[DataWarning]


def settle(tally: Tally, decisions: Decisions, recipe: Recipe) -> Settled:
    """The rules for the rows of this tally; raises Rejected (`bad_recipe`)."""
    folds = 0 if recipe.split.folds == "leave-one-out" else recipe.split.folds
    _check(tally, decisions, folds)
    keep = _keeps_repeated(tally, decisions, recipe)
    spread = _spread(tally, decisions, keep=keep)
    shares = _shares(tally, decisions, recipe)
    by_class = decisions.by in ("stratified", "given") and decisions.has_classes
    values = {name: _falls(each, spread=spread) for name, each in sorted(tally.classes.items())}
    gives_validation = tally.sides[2] > 0
    left = 1 if folds is None or gives_validation else 2
    sides = left + sum(share > 0 for share in shares)
    rare = [name for name, falls in values.items() if falls is not None and len(falls) < sides] if by_class else []
    known = {name: falls for name, falls in values.items() if falls is not None and name not in rare}
    edges = {name: _edges(falls, shares, left) for name, falls in known.items()}
    other = (_within(shares[0]), _within(shares[0] + shares[1]))
    rest = {name: falls[falls >= np.uint64(edges[name][1])] for name, falls in known.items()}
    if all(falls is not None for falls in values.values()):
        _check_folds(sum(map(len, rest.values())), folds or 0, decisions)
    return Settled(
        edges={ANY: _time_edges(tally, shares)} if decisions.by == "time" else edges,
        other=other,
        by_class=by_class,
        by_time=decisions.by == "time",
        keep_repeated=keep,
        spread=spread,
        drop_near=recipe.clean.near_duplicates == "drop",
        rare=rare,
        folds=folds,
        fold_rules=fold_rules(rest, other[1], folds or 1),
        gives_validation=gives_validation,
        warnings=_warnings(tally, decisions, values),
    )


def _check(tally: Tally, decisions: Decisions, folds: int | None) -> None:
    if folds == 0 and tally.usable > LEAVE_ONE_OUT_ROWS:
        raise Rejected(
            "bad_recipe",
            f"split.folds: leave-one-out trains a model for each of {tally.usable:,} rows",
            limit=LEAVE_ONE_OUT_ROWS,
            hint="say how many folds: `split: {folds: 5}`",
        )
    if decisions.given is not None and not any(tally.sides[side] for side in (1, 2, 3)):
        raise Rejected(
            "bad_recipe",
            f"split.column: no value of {decisions.given!r} names a split",
            hint="its values must be train, validation (or val, dev) and test, or 训练, 验证 and 测试",
        )


def _check_folds(different: int, folds: int, decisions: Decisions) -> None:
    if different < folds:
        what = "groups" if decisions.by == "group" else "rows"
        text = f"split.folds: {folds} folds need as many different {what} outside the test; there are {different}"
        raise Rejected("bad_recipe", text, limit=different, hint="ask for fewer folds")


def _keeps_repeated(tally: Tally, decisions: Decisions, recipe: Recipe) -> bool:
    if recipe.clean.duplicates != "auto":
        return recipe.clean.duplicates == "keep"
    repeated = tally.usable - min(tally.usable, tally.identities.get_estimate())
    return bool(decisions.is_tabular and repeated > _REPEATED * tally.usable)


def _spread(tally: Tally, decisions: Decisions, *, keep: bool) -> bool:
    """Where few columns have few values, rows with equal inputs cannot all be on one side; equal texts always are."""
    if not decisions.is_tabular or decisions.by in ("group", "time"):
        return False
    seen = [each.falls for each in tally.classes.values()]
    placed = (tally.sides[0] + tally.sides[1]) / max(1, tally.usable)
    different = placed * min(tally.usable, tally.identities.get_estimate())
    return keep or different - sum(different if falls is None else len(falls) for falls in seen) > _REPEATED * different


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


def _falls(tally: ClassTally, *, spread: bool) -> Words | None:
    """Where the rows of a class fall, sorted; None if there are too many. Of rows that are spread, each."""
    if tally.falls is None or tally.counts is None:
        return None
    if not spread:
        return tally.falls
    if tally.counts.sum() > _MOST_EXPANDED:
        return None
    starts = np.cumsum(tally.counts) - tally.counts
    number = (np.arange(tally.counts.sum()) - np.repeat(starts, tally.counts)).astype(np.uint64)
    return np.sort(mixed(np.repeat(tally.falls, tally.counts), number))


def _edges(falls: Words, shares: tuple[float, float], left: int) -> Edges:
    """Edges so that each side gets its share of these falls, and at least one."""
    validation, test = sizes(len(falls), shares, left)
    first = int(falls[validation - 1]) + 1 if validation else 0
    second = int(falls[validation + test - 1]) + 1 if test else first
    return min(first, _WHOLE - 1), min(second, _WHOLE - 1)


def _within(share: float) -> int:
    return min(int(share * _WHOLE), _WHOLE - 1)


def sizes(rows: int, shares: tuple[float, float], left: int = 1) -> tuple[int, int]:
    """Rows for validation and for test, one for each side that has a share, if `left` or more are left for train."""
    one, two = int(shares[0] > 0), int(shares[1] > 0)
    validation = min(max(1, round(rows * shares[0])), max(0, rows - left - two)) if one else 0
    test = min(max(1, round(rows * shares[1])), max(0, rows - left - validation)) if two else 0
    return validation, test


def _time_edges(tally: Tally, shares: tuple[float, float]) -> Edges:
    """The earliest rows are for training, the latest for the test; rows of one time fall together.

    Each side has a time at least, if there are so many.
    """
    known = tally.classes.get(ANY)
    if known is None:
        return 0, 0
    if known.falls is None or known.counts is None:
        latest = int(tally.times.get_max_value())
        train, validation = (int(tally.times.get_quantile(1 - share)) + 1 for share in (sum(shares), shares[1]))
        return min(train, latest), min(validation, latest)
    ends, many = np.cumsum(known.counts) / known.counts.sum(), len(known.falls)
    train, validation = (1 + int(np.abs(ends - 1 + share).argmin()) for share in (sum(shares), shares[1]))
    train = max(1, min(train, many - 2))
    validation = max(train + 1, min(validation, many - 1))
    edges = [*(known.falls + np.uint64(1)).tolist()]
    return edges[min(train, many) - 1], edges[min(validation, many) - 1]


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
    if tally.untimed:
        text = f"rows whose time in column {decisions.time!r} cannot be read: {tally.untimed:,}; they are the earliest"
        found.append(DataWarning(code="rows_without_time", message=text))
    if decisions.given is not None and tally.sides[0]:
        text = f"rows without the name of a split in column {decisions.given!r}: {tally.sides[0]:,}; placed like train"
        found.append(DataWarning(code="rows_without_split", message=text))
    return found
