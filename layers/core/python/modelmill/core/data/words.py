"""Words that tell: yes and no in the languages of the world, and names of what is known only after the fact. Pure."""

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


def is_yes_and_no(values: Sequence[str]) -> bool:
    """True if these different values are a yes and a no of one language, in any case; numbers are not words."""
    return len(values) <= 6 and frozenset(value.lower() for value in values) in _PAIRS
