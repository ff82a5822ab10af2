"""Whether the sides of a split may be compared: rows of each side in; warnings with numbers and a way out, out."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.columns import name_words
from modelmill.core.data.dates import date_format
from modelmill.core.data.plan import Plan
from modelmill.core.data.version import DataWarning
from modelmill.frames.leaks.labels import SIGNIFICANT, chi_square
from modelmill.frames.leaks.power import FEWEST, Power, class_power, correlation, number_power
from modelmill.frames.understand import parse_dates

_SOMEBODY = frozenset(
    {
        *("user", "userid", "uid", "patient", "speaker", "subject", "participant", "customer", "pupil", "reviewer"),
        *("rater", "annotator", "writer", "用户", "患者", "病人", "说话人", "受试者", "参与者", "客户", "顾客"),
        *("住院号", "病历号", "学号", "工号"),
    }
)
"""Names of columns whose values are somebody that new rows may not come from."""
_PERHAPS = frozenset(
    {
        *("person", "client", "member", "student", "author", "worker", "employee", "session", "device", "household"),
        *("family", "owner", "driver", "会员", "学生", "作者", "员工", "设备", "会话", "家庭"),
    }
)
"""Names that are as often a sort of thing (phone, tablet, watch): somebody or something if it is said to be a key, or
if there are many of them."""
_KEY = frozenset({"id", "ids", "no", "nr", "number", "num", "code", "key", "hash", "name", "index"})
_KEY_ENDS = ("编号", "号码", "姓名", "名称", "代码", "标识", "号", "名")
_ROWS_EACH = 2.0
_ON_BOTH = 0.2
_GROUP_SKILL = 0.25
"""A key that nobody's name stands on is a group if it alone removes so much of the mistakes."""
_FEWEST_GROUPS = 5
_MANY = 20
_BLOCKS = 5
_DRIFT = 0.2
_TREND = 0.3
_DATES = 300


def shared_groups(train: pa.Table, test: pa.Table, plan: Plan, grouped_by: str | None) -> list[DataWarning]:
    """`group_on_both_sides` for each column whose values come back, in rows of training and of the test."""
    warnings = []
    for column in plan.columns:
        name = column.name
        if name in (plan.target, grouped_by) or column.kind not in ("identifier", "category", "number"):
            continue
        if name not in train.column_names or name not in test.column_names:
            continue
        ours, theirs = (pc.cast(side.column(name).drop_null(), pa.large_string()) for side in (train, test))
        values = pc.count_distinct(ours).as_py()
        if len(ours) < _ROWS_EACH * values or values < _FEWEST_GROUPS or not len(theirs):
            continue
        share = pc.sum(pc.is_in(theirs, value_set=pc.unique(ours))).as_py() / len(theirs)
        somebody = _is_somebody(name, values)
        if share < _ON_BOTH or not (somebody or (column.kind == "identifier" and _tells(train, name, plan.target))):
            continue
        text = (
            f"{name[:60]}: {values:,} values with {len(ours) / values:.1f} training rows each;"
            f" {100 * share:.0f} % of the test rows have one that training rows have too. If new rows come from others,"
            f" keep each on one side: `split: {{by: group, group: {name[:60]}}}` in recipe.yaml"
        )
        warnings.append(DataWarning(code="group_on_both_sides", message=text))
    return warnings


def _is_somebody(name: str, values: int) -> bool:
    """True for `user`, `patient_id`, `device_id`, `说话人编号`; False for what somebody has, such as `customer_age`."""
    words = name_words(name)
    bare = [_without_end(word) for word in words if word not in _KEY]
    is_key = values >= _MANY or bare != list(words)
    known = _SOMEBODY | _PERHAPS if is_key else _SOMEBODY
    return bool(bare) and all(word in known for word in bare)


def _without_end(word: str) -> str:
    if word in _SOMEBODY:
        return word
    return next((word.removesuffix(end) for end in _KEY_ENDS if word.endswith(end)), word)


def _tells(rows: pa.Table, name: str, target: str) -> bool:
    """True if rows with the same key mostly have the same target."""
    known = rows.select([name, target]).drop_null()
    codes = pc.dictionary_encode(known.column(0).combine_chunks()).indices.to_numpy().astype(np.int64)
    return _told(codes, known.column(1)).skill >= _GROUP_SKILL


def _told(codes: np.ndarray[Any, np.dtype[np.int64]], target: pa.ChunkedArray) -> Power:
    if pa.types.is_floating(target.type):
        return number_power(codes, target.to_numpy())
    classes = pc.dictionary_encode(target.combine_chunks()).indices.to_numpy().astype(np.int64)
    return class_power(codes, classes)


def drift(rows: pa.Table, plan: Plan) -> list[DataWarning]:
    """`time_matters` for the date column along which the target changes most, though rows fall by chance."""
    found = []
    for name in [column.name for column in plan.columns if column.kind == "date" and column.name in rows.column_names]:
        known = rows.select([name, plan.target]).append_column("\x00day", _days(rows.column(name))).drop_null()
        if known.num_rows < max(FEWEST * _BLOCKS, rows.num_rows / 2):
            continue
        days = known.column("\x00day").to_numpy()
        strength = _trend(days, known.column(plan.target))
        if strength:
            found.append((strength, name))
    if not found:
        return []
    strength, name = max(found)
    text = (
        f"{plan.target[:60]!r} changes along {name[:60]} ({strength:.2f} on a scale of 0 to 1), and rows of all times"
        " are on both sides. If the model will meet later rows only, test it on the latest:"
        f" `split: {{by: time, time: {name[:60]}}}` in recipe.yaml"
    )
    return [DataWarning(code="time_matters", message=text)]


def _days(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A number that grows with the date: of dates, or of strings as people write them; null for what is none."""
    if not pa.types.is_large_string(column.type):
        return pc.cast(pc.cast(column, pa.timestamp("us")), pa.int64())
    strings = column.combine_chunks()
    form = date_format(strings.drop_null().unique()[:_DATES].to_pylist(), named=True)
    found = pa.nulls(len(strings), pa.float64()) if form is None else parse_dates(strings, form)
    return pa.chunked_array([found])


def _trend(days: np.ndarray[Any, np.dtype[Any]], target: pa.ChunkedArray) -> float:
    """Cramér's V of the target over five blocks of time, or a measure's rank correlation with time; 0 if small."""
    if pa.types.is_floating(target.type):
        strength = correlation(days.astype(np.float64), target.to_numpy())
        return strength if strength >= _TREND else 0.0
    order = np.argsort(days, kind="stable")
    blocks = np.empty(len(days), np.int64)
    blocks[order] = np.arange(len(days)) * _BLOCKS // len(days)
    classes = pc.dictionary_encode(target.combine_chunks()).indices.to_numpy().astype(np.int64)
    width = int(classes.max()) + 1
    table = np.bincount(blocks * width + classes, minlength=_BLOCKS * width).reshape(_BLOCKS, width)
    squares, deviations = chi_square(table)
    strength = float(np.sqrt(squares / len(days) / max(1, min(_BLOCKS, width) - 1)))
    return strength if strength >= _DRIFT and deviations > SIGNIFICANT else 0.0
