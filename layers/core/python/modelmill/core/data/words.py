"""Words that tell: yes and no in the languages of the world, and names of what is known only after the fact. Pure."""

import re
from collections.abc import Sequence

_YES_AND_NO = (
    ("true", "false"), ("t", "f"), ("yes", "no"), ("y", "n"), ("on", "off"), ("是", "否"), ("是", "不是"), ("有", "无"),
    ("有", "没有"), ("对", "错"), ("真", "假"), ("はい", "いいえ"), ("有", "無"), ("예", "아니요"), ("예", "아니오"),
    ("ja", "nein"), ("j", "n"), ("wahr", "falsch"), ("oui", "non"), ("o", "n"), ("vrai", "faux"), ("sí", "no"),
    ("si", "no"), ("s", "n"), ("verdadero", "falso"), ("sì", "no"), ("vero", "falso"), ("sim", "não"), ("sim", "nao"),
    ("ja", "nee"), ("ja", "nej"), ("ja", "nei"), ("tak", "nie"), ("да", "нет"), ("так", "ні"), ("evet", "hayır"),
    ("ya", "tidak"),
)  # fmt: skip
_PAIRS = frozenset(frozenset(pair) for pair in _YES_AND_NO)

_AFTER_WORDS = (
    "closed closing resolved resolution result results outcome outcomes final finally settled settlement refund"
    " refunded recovered recovery recoveries collection collections cancelled canceled cancellation cancel completed"
    " completion ended finished terminated termination discharge discharged departed exit verdict disposition winner"
    " awarded delivered returned chargeback writeoff paid payoff autopsy death died followup actual approved rejected"
)
_AFTER = frozenset(_AFTER_WORDS.split())
_AFTER_PAIRS = (
    "charge off",
    "charged off",
    "write off",
    "follow up",
    "last payment",
    "last pymnt",
    "total pymnt",
    "total rec",
)
_AFTER_MARKS = (
    "结案",
    "结果",
    "结束",
    "完成",
    "关闭",
    "退款",
    "退货",
    "离职",
    "出院",
    "死亡",
    "判决",
    "处理意见",
    "最终",
    "回款",
)
_AFTER_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def is_after_the_fact_name(name: str) -> bool:
    """True if a column's name says that its value is known only once the target is: `closed_at`, `结案日期`.

    A name is a hint and no proof: ask only of a column that nearly gives the target away.
    """
    words = [word.lower() for word in _AFTER_WORD.findall(name)]
    said = f" {' '.join(words)} "
    pairs = any(f" {pair} " in said for pair in _AFTER_PAIRS)
    return pairs or not _AFTER.isdisjoint(words) or any(mark in name for mark in _AFTER_MARKS)


def is_yes_and_no(values: Sequence[str]) -> bool:
    """True if these different values are a yes and a no of one language, in any case; numbers are not words."""
    return len(values) <= 6 and frozenset(value.lower() for value in values) in _PAIRS
