"""Which column is the target when the recipe does not say: summaries in file order in, a column's name out.

Tiers from certain to desperate; within a tier the last column wins, because targets tend to come last.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelmill.core.data.columns import (
    ColumnSummary,
    can_be_classes,
    is_regression_target,
    kind_of,
    listed,
    looks_like_classes,
    name_words,
)
from modelmill.core.errors import Rejected

_DECISIVE = ("label", "labels", "target", "class", "outcome", "tags", "标签", "目标", "类别", "分类", "标注")
_USUAL = (
    "y", "loan status", "sentiment", "polarity", "species", "diagnosis", "variety", "emotion", "intent", "topic",
    "情感", "情感倾向", "意图", "主题", "情绪",
)  # fmt: skip
_OUTCOMES = (
    "survived", "survival", "churn", "churned", "exited", "attrition", "approved", "approval", "accepted",
    "default", "defaulted", "fraud", "fraudulent", "spam", "response", "responded", "clicked", "purchased",
    "converted", "subscribed", "recommended", "satisfaction", "satisfied", "stroke", "disease", "death", "died",
    "canceled", "cancelled", "cancellation", "toxic", "won", "winner", "decision", "risk", "readmitted",
    "returned", "hired", "admitted", "passed", "failed", "failure", "outcome", "deposit", "creditability",
    "tomorrow", "bought", "buy", "buys", "deny", "denied", "readmit", "admit", "vote", "voted", "是否", "违约", "流失",
    "患病", "购买",
)  # fmt: skip
_MAYBE = ("category", "income", "salary", "type", "genre", "rating", "stars", "quality", "grade", "score", "status",
          "result", "类型", "结果", "评分", "等级")  # fmt: skip
_MEASURES = ("saleprice", "sale price", "medv", "mpg", "median house value", "房价")
"""Names of what nobody uses to predict something else."""
_PRICES = ("price", "价格")
_AMOUNTS = {
    "y", "price", "value", "saleprice", "cost", "costs", "charges", "amount", "salary", "income", "medv", "mpg",
    "sales", "价格", "房价", "销量",
}  # fmt: skip

_COUNTS = {"cnt", "count", "duration", "demand", "yield", "strength", "rent", "revenue", "profit"}
"""Amounts only where nothing comes after them."""


def _words(summary: ColumnSummary) -> set[str]:
    return set(name_words(summary.name))


def _named(summary: ColumnSummary, names: Sequence[str]) -> bool:
    return " ".join(name_words(summary.name)) in names


def _mentions(summary: ColumnSummary, names: Sequence[str]) -> bool:
    """A word of the name is one of `names`; Chinese has no spaces, so there a part of the name is enough."""
    return bool(_words(summary) & set(names)) or any(
        name in summary.name for name in names if not name.isascii() and len(name) > 1
    )


def _is_outcome(summary: ColumnSummary) -> bool:
    return _mentions(summary, _OUTCOMES) or name_words(summary.name)[:1] == ("is",)


def _is_binary(summary: ColumnSummary) -> bool:
    return summary.distinct < 2.5


_TIERS: tuple[Callable[[ColumnSummary], bool], ...] = (
    lambda s: _named(s, _USUAL),
    lambda s: _is_outcome(s) and _is_binary(s),
    _is_outcome,
    lambda s: _named(s, _MAYBE[:1]),
    lambda s: _mentions(s, _DECISIVE + _USUAL),
    lambda s: _named(s, _MAYBE),
)
_CERTAIN_TIERS = 3


@dataclass(frozen=True, slots=True)
class Guess:
    """The target's name; `rivals` are columns that could as well be it, none if the name of the target is telling."""

    name: str
    rivals: tuple[str, ...] = ()


def guess_target(summaries: Sequence[ColumnSummary]) -> Guess:
    """The target; raises Rejected (`missing_target`, or `one_class` for a file with nothing to tell apart)."""
    classes = [summary for summary in summaries if can_be_classes(summary)]
    for name in _DECISIVE:
        for place, summary in enumerate(summaries):
            if not _named(summary, (name,)) or (summary.is_long_text and summary.distinct_ratio > 0.5):
                continue
            if name == "class" and _ends_with_outcome(summaries[place + 1 :]):
                continue  # a class of cabins, or of a school
            return Guess(summary.name)
    for tier, fits in enumerate(_TIERS):
        found = [summary.name for summary in classes if fits(summary)]
        if found:
            return Guess(found[-1], () if tier < _CERTAIN_TIERS else _rivals(classes, found[-1]))
    return _by_place(summaries, classes)


def _ends_with_outcome(after: Sequence[ColumnSummary]) -> bool:
    return any(can_be_classes(summary) and _is_outcome(summary) and _is_binary(summary) for summary in after)


def _rivals(classes: Sequence[ColumnSummary], name: str) -> tuple[str, ...]:
    return tuple(summary.name for summary in classes if summary.name != name and looks_like_classes(summary))


def _by_place(summaries: Sequence[ColumnSummary], classes: Sequence[ColumnSummary]) -> Guess:
    """A measure by name; else the last column, the first, any that looks like classes.

    Empty columns and keys have no place.
    """
    filled = [s for s in summaries if not s.is_almost_empty and (s.distinct < 1.5 or kind_of(s) != "identifier")]
    names = [summary.name for summary in classes if looks_like_classes(summary)]
    if measure := _measure(filled, names):
        return Guess(measure)
    for place in (filled[-1:], filled[:1]):
        if place and place[0].name in names:
            return Guess(place[0].name, _rivals(classes, place[0].name))
    if not names:
        return _nothing_found(summaries, filled)
    # Neither its name nor its place speaks for it: others are named even where none of them looks like classes.
    others = tuple(summary.name for summary in filled if summary.name != names[-1])
    return Guess(names[-1], _rivals(classes, names[-1]) or others[-3:])


def _measure(filled: Sequence[ColumnSummary], classes: Sequence[str]) -> str | None:
    """A telling name anywhere; or an amount at the end of the row, or before it but for a yes and no."""
    measures = [s for s in filled if is_regression_target(s)]
    ends = filled[-1:] if filled and _is_binary(filled[-1]) else filled[-2:]
    coordinates = {name for s in filled for name in name_words(s.name)[:1]} >= {"x", "z"}
    amounts = [s.name for s in ends if s in measures and _words(s) & _AMOUNTS - ({"y"} if coordinates else set())]
    amounts += [s.name for s in filled[-1:] if s in measures and _words(s) & _COUNTS]
    telling = [s.name for s in measures if _named(s, _MEASURES)]
    prices = [s.name for s in measures if _named(s, _PRICES) and filled[-1].name not in classes]
    return next(iter(amounts[-1:] + telling + prices), None)


def _nothing_found(summaries: Sequence[ColumnSummary], filled: Sequence[ColumnSummary]) -> Guess:
    """The last column, if it holds numbers; any other column of numbers could be it as well."""
    numbers = [s.name for s in filled if s.is_number and s.distinct > 1.5]
    if numbers and numbers[-1] == filled[-1].name:
        return Guess(numbers[-1], tuple(numbers[:-1]))
    hint = "name it in recipe.yaml: `target: COLUMN`, or call the column `label`"
    constant = [s.name for s in filled if s.distinct < 1.5]
    if constant:
        raise Rejected("one_class", f"column {constant[-1]!r} has one value only: nothing to tell apart", hint=hint)
    columns = listed([summary.name for summary in summaries])
    raise Rejected("missing_target", f"no column looks like a target; the columns are: {columns}", hint=hint)
