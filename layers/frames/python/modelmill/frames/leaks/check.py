"""Leaks: samples of the rows of each split and the plan in; warnings, the gravest first, out. Pure."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.plan import Plan
from modelmill.core.data.version import DataWarning
from modelmill.core.model.task import answers_of
from modelmill.frames.leaks.labels import Counts, few_test_rows, given_classes, given_numbers
from modelmill.frames.leaks.sides import drift, shared_groups
from modelmill.frames.leaks.tells import labels_in_texts, telling_columns
from modelmill.frames.leaks.twins import equal_rows, near_texts, repeated_share

MANY_TWINS = 0.01
"""From this share of the test rows twins make the test look better than the model is."""
_REPEATED = 0.2
"""Where more training rows repeat each other, equal rows are no accident: few columns of few values."""
_EXAMPLE = 120
_CONTRADICTS = -2


def check_leaks(
    parts: Mapping[str, pa.Table],
    plan: Plan,
    *,
    by: str = "stratified",
    group: str | None = None,
    counts: Counts | None = None,
) -> list[DataWarning]:
    """What of the split's sides flatters a model, or keeps it from being judged.

    `parts`: train, validation and test rows, or a sample of some ten thousand of them, as they are stored (masked):
    inputs as float64 or large_string (images and sound as bytes, not looked at here), the target as large_string
    (class names) or float64 (measures); other columns, as strings or dates, where they are at hand. `by` is how the
    rows were split (`Split.by`), `group` the column that they were grouped by, `counts` split → class → all its rows
    (counted in the sample if None). Takes a second for 25,000 rows.
    """
    train, test = parts["train"], parts["test"]
    rows = pa.concat_tables([part for part in parts.values() if part.num_rows], promote_options="default")
    if not rows.num_rows:
        return []
    warnings = [
        *twins(train, test, plan),
        *telling_columns(rows, plan),
        *labels_in_texts(rows, plan),
        *shared_groups(train, test, plan, group if by == "group" else None),
    ]
    if by in ("stratified", "random"):
        warnings += drift(rows, plan)
    if answers_of(plan.task) == "multilabel":
        return warnings
    if not pa.types.is_floating(rows.schema.field(plan.target).type):
        known = counts or {name: _counted(part.column(plan.target)) for name, part in parts.items()}
        return [*warnings, *(given_classes(known) if by == "given" else []), *few_test_rows(known, by)]
    sides = {name: part.column(plan.target).drop_null().to_numpy() for name, part in parts.items()}
    return [*warnings, *(given_numbers(sides) if by == "given" else [])]


def twins(train: pa.Table, test: pa.Table, plan: Plan) -> list[DataWarning]:
    """`same_rows_on_both_sides` and `near_rows_on_both_sides`, each from 1 % of the test rows."""
    names = [c.name for c in plan.inputs if c.kind not in ("image", "audio") and c.name in train.column_names]
    if not names or not train.num_rows or not test.num_rows:
        return []
    ours, theirs = train.select(names), test.select(names)
    texts = [c.name for c in plan.inputs if c.kind == "text" and c.name in names]
    same = equal_rows(ours, theirs)
    # Rows that agree in all but the target make the test harder, not easier.
    told = [*names, plan.target]
    same = np.where(equal_rows(train.select(told), test.select(told)) >= 0, same, np.where(same >= 0, _CONTRADICTS, -1))
    warnings = []
    if (same >= 0).mean() >= MANY_TWINS and (texts or repeated_share(ours) < _REPEATED):
        text = f"{_share(same)} of {train.num_rows:,} training rows that were looked at; {_WAY_OUT}"
        warnings.append(DataWarning(code="same_rows_on_both_sides", message=text))
    if texts:
        first, second = _joined(ours, texts), _joined(theirs, texts)
        near = np.where(same != -1, -1, near_texts(first, second))
        if (near >= 0).mean() >= MANY_TWINS:
            example = int(np.flatnonzero(near >= 0)[0])
            pair = f"{_short(second[example].as_py())!r} and {_short(first[int(near[example])].as_py())!r}"
            text = f"{_share(near)} of the training rows but for a few words, such as {pair}; {_WAY_OUT}"
            warnings.append(DataWarning(code="near_rows_on_both_sides", message=text))
    return warnings


_WAY_OUT = (
    "leave the copies out of one side and upload again, or keep what belongs together on one side:"
    " `split: {by: group, group: COLUMN}` in recipe.yaml"
)


def _share(found: np.ndarray[Any, np.dtype[np.int64]]) -> str:
    count = int((found >= 0).sum())
    return f"{count:,} of {len(found):,} test rows ({100 * count / len(found):.1f} %) are the same as one"


def _joined(rows: pa.Table, texts: list[str]) -> pa.ChunkedArray:
    """The texts of each row as one."""
    columns = [pc.fill_null(rows.column(name), "") for name in texts]
    joined = (
        columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, pa.scalar("\n", pa.large_string()))
    )
    return joined if isinstance(joined, pa.ChunkedArray) else pa.chunked_array([joined])


def _short(text: str) -> str:
    line = " ".join(text[: 2 * _EXAMPLE].split())
    return line if len(line) <= _EXAMPLE else line[: _EXAMPLE - 1] + "…"


def _counted(names: pa.ChunkedArray) -> dict[str, int]:
    counted = pc.value_counts(names.drop_null())
    return dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
