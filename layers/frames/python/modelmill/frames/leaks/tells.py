"""Columns that give the target away: rows of all splits and the plan in; warnings with numbers and a way out, out."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.columns import listed, name_words
from modelmill.core.data.plan import Plan
from modelmill.core.data.version import DataWarning
from modelmill.frames.leaks.power import (
    NONE,
    Integers,
    Numbers,
    Power,
    class_power,
    coded,
    correlation,
    lengths,
    number_power,
)

SURE, SURE_SKILL = 0.97, 0.9
"""A column that is right so often, and takes away so much of what is wrong without it, is suspected."""
SAME = 0.99**2
"""Share of a measure's variance from which a column is the target under another name: a correlation of 0.99."""
AFTER_SKILL = 0.25
_CELLS = 2_000_000
_FEWEST_ROWS = 1_000
_LABEL_ROWS = 3_000
_NAMED_IN_TEXT = 0.8
_SHORTEST_LABEL, _MOST_LABELS = 3, 50
_AFTER = frozenset(
    {
        *("outcome", "result", "decision", "verdict", "refund", "refunded", "returned", "closed", "closing"),
        *("cancelled", "canceled", "cancellation", "churned", "resolved", "resolution", "discharge"),
        *("deceased", "death", "settled", "settlement", "payout", "paid", "rating", "score", "stars"),
        *("grade", "final", "结果", "结论", "评分", "星级", "退款", "退货", "关闭", "结案", "出院", "死亡"),
        *("取消", "成绩"),
    }
)
"""Words in the names of columns that are mostly filled in when, or after, the target is known."""


def telling_columns(rows: pa.Table, plan: Plan) -> list[DataWarning]:
    """`leak_suspected` for inputs that alone tell the target, `after_the_fact` for those whose name says why."""
    limit = max(_FEWEST_ROWS, _CELLS // max(1, len(plan.inputs)))
    rows = rows.slice(0, limit)
    measure = pa.types.is_floating(rows.schema.field(plan.target).type)
    target = rows.column(plan.target).to_numpy() if measure else _classes(rows.column(plan.target))
    sure, late = [], []
    for column in plan.inputs:
        if column.kind in ("image", "audio") or column.name not in rows.column_names:
            continue
        values = lengths(rows.column(column.name)) if column.kind == "text" else rows.column(column.name)
        power = _power(values, target)
        text = f"{column.name[:60]}{' (its length)' if column.kind == 'text' else ''}: {_said(power, measure=measure)}"
        if power.skill >= SURE_SKILL and power.right > (SAME if measure else SURE):
            sure.append(text)
        elif power.skill >= AFTER_SKILL and _AFTER & set(name_words(column.name)):
            late.append(text)
    warnings = []
    name = plan.target[:60]
    way_out = "leave it out: `inputs: [the other columns]` in recipe.yaml"
    if sure:
        text = f"{listed_facts(sure)}. What alone tells {name!r} may be known only after it; if so, {way_out}"
        warnings.append(DataWarning(code="leak_suspected", message=text))
    if late:
        text = f"{listed_facts(late)}. By its name it may be known only after {name!r} is; if so, {way_out}"
        warnings.append(DataWarning(code="after_the_fact", message=text))
    return warnings


def listed_facts(facts: Sequence[str], most: int = 10) -> str:
    """The first facts, and how many more there are."""
    more = f"; and {len(facts) - most} more" if len(facts) > most else ""
    return "; ".join(facts[:most]) + more


def _classes(names: pa.ChunkedArray) -> Integers:
    codes: Integers = pc.dictionary_encode(names.combine_chunks()).indices.to_numpy(zero_copy_only=False)
    return codes.astype(np.int64)


def _said(power: Power, *, measure: bool) -> str:
    if measure:
        return f"explains {100 * power.right:.1f} % of the variance"
    return f"right in {100 * power.right:.1f} % of rows (always the same answer: {100 * power.base:.1f} %)"


def _power(values: pa.ChunkedArray, target: Integers | Numbers) -> Power:
    """Of all rows, a missing value being one of its own; or of the rows that have a value, if they are most."""
    found = _of_rows(values, target)
    missing = np.asarray(pc.is_null(values, nan_is_null=True))
    if 0 < missing.sum() <= len(missing) / 2:
        known = ~missing
        some = _of_rows(values.filter(pa.array(known)), target[known])
        found = max(found, some, key=lambda power: power.skill)
    return found


def _of_rows(values: pa.ChunkedArray, target: Integers | Numbers) -> Power:
    if not len(target):
        return NONE
    if target.dtype == np.int64:
        classes = target.astype(np.int64)
        return class_power(coded(values, target), classes, ordered=pa.types.is_floating(values.type))
    measures = target.astype(np.float64)
    if pa.types.is_floating(values.type):
        # A number near the target is near it in every row: means of bins would flatter any smooth curve.
        return Power(correlation(values.to_numpy(), measures) ** 2, 0.0)
    return number_power(coded(values, target), measures)


def labels_in_texts(rows: pa.Table, plan: Plan) -> list[DataWarning]:
    """`label_in_text` for each text that names the row's own class, and no other, in most rows."""
    if pa.types.is_floating(rows.schema.field(plan.target).type):
        return []
    rows = rows.slice(0, _LABEL_ROWS)
    labels = rows.column(plan.target).to_pylist()
    words = {label: _pattern(label) for label in sorted(set(labels) - {None}) if _is_word(label)}
    if not 2 <= len(words) <= _MOST_LABELS:
        return []
    warnings = []
    for column in [c.name for c in plan.inputs if c.kind == "text" and c.name in rows.column_names]:
        texts = rows.column(column).to_pylist()
        right = sum(_named(text or "", words) == {label} for text, label in zip(texts, labels, strict=True))
        if right >= _NAMED_IN_TEXT * len(labels):
            text = (
                f"{column[:60]}: {100 * right / len(labels):.0f} % of the texts name their own class"
                f" ({listed(list(words)[:5])}) and no other; cut the class out of the text and upload again, or leave"
                " the column out in recipe.yaml (`inputs: [the other columns]`)"
            )
            warnings.append(DataWarning(code="label_in_text", message=text))
    return warnings


def _pattern(label: str) -> re.Pattern[str]:
    """Finds a class's name in lower-case text, as a word of its own where words are set apart by spaces."""
    name = re.escape(label.lower())
    return re.compile(rf"(?<!\w){name}(?!\w)" if label.isascii() else name)


def _named(text: str, words: Mapping[str, re.Pattern[str]]) -> set[str]:
    lower = text.lower()
    return {label for label, pattern in words.items() if pattern.search(lower)}


def _is_word(label: str) -> bool:
    return not label.isdecimal() and len(label) >= (_SHORTEST_LABEL if label.isascii() else 2)
