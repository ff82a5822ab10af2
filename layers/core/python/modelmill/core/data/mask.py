"""Masking of personal data: a text in; where it holds some, and the text with pseudonyms or kinds in its place, out.

Two views of one text. What is stored holds pseudonyms, `<email:3f9a1c0b72de>`: a keyed hash, so that one person has
one pseudonym within a tenant. What a model reads holds kinds, `<maskemail>`, made of the raw text or of the stored
one alike: serving needs no key, and no pseudonym is ever in a vocabulary. Text around a find keeps its bytes.
"""

import hmac
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, get_args

from modelmill.core.data.mask_rules import BLANK, RULES, VIEW, Kind, plain_email

KINDS: tuple[Kind, ...] = get_args(Kind)
VERSION = 1
"""Of the rules: a package names the one that it was trained with."""
PLURALS: dict[Kind, tuple[str, str]] = {
    "email": ("e-mail address", "e-mail addresses"),
    "phone": ("phone number", "phone numbers"),
    "id": ("identity number", "identity numbers"),
    "card": ("card number", "card numbers"),
    "iban": ("IBAN", "IBANs"),
    "ip": ("IP address", "IP addresses"),
    "credentials": ("URL with credentials", "URLs with credentials"),
}
HEX = 12
"""48 bits of the hash: a million people have one pseudonym in common with a chance of 0.2 %."""
PSEUDONYM = rf"<({'|'.join((*KINDS, 'hash'))}):[0-9a-f]{{{HEX}}}>"
"""Read by `re` and by Arrow's RE2; group 1 is the kind."""
_PSEUDONYM = re.compile(PSEUDONYM)
_WIDE = re.compile("[０-９𝟎-𝟿]")
_DIGITS = b"0123456789"
_FEWEST_DIGITS = 4
_PASSES = 8
"""A find is a border for its neighbours, so that text is searched again until nothing is new: then raw and masked text
agree. The limit keeps the time of hostile text in proportion to its length."""


class Find(NamedTuple):
    """A personal datum at `text[start:end]`; `value` is its normal form: however written, the same for one person."""

    start: int
    end: int
    kind: Kind
    value: str


def may_hold(text: str) -> bool:
    """False if the text surely holds nothing to mask: the cheap test before the rules."""
    if "@" in text or "<" in text or "::" in text:
        return True
    data = text.encode("utf-8", "surrogatepass")
    digits = len(data) - len(data.translate(None, _DIGITS))
    if digits >= _FEWEST_DIGITS or len(data) == len(text):
        return digits >= _FEWEST_DIGITS
    return "＠" in text or digits + len(_WIDE.findall(text)) >= _FEWEST_DIGITS


def find(text: str, kinds: Collection[str] = KINDS) -> list[Find]:
    """Everything of these kinds, in order, without overlaps. What is a pseudonym already is left alone."""
    if not may_hold(text):
        return []
    if (only := plain_email(text)) and "email" in kinds:
        return [Find(0, len(text), "email", only)]
    view = text if text.isascii() else text.translate(VIEW)
    if "<" in view:
        view = _PSEUDONYM.sub(lambda found: BLANK * len(found[0]), view)
    finds: list[Find] = []
    for _ in range(_PASSES):
        view, new = _pass(view, kinds)
        if not new:
            break
        finds += new
    return sorted(finds)


def _pass(view: str, kinds: Collection[str]) -> tuple[str, list[Find]]:
    finds: list[Find] = []
    for may_find, rules in RULES:
        if not may_find(view):
            continue
        for kind, rule in rules:
            if kind in kinds and (new := [Find(start, end, kind, value) for start, end, value in rule(view)]):
                view = replaced(view, new, lambda each: BLANK * (each.end - each.start))
                finds += new
    return view, finds


def replaced(text: str, finds: Collection[Find], token: Callable[[Find], str]) -> str:
    """The text with a token in place of each find."""
    parts, position = [], 0
    for each in finds:
        parts += [text[position : each.start], token(each)]
        position = each.end
    return "".join([*parts, text[position:]])


def kind_token(kind: str) -> str:
    """What a model reads in place of a datum: one token of `core.model.tokens`, and no word of any language."""
    return f"<mask{kind}>"


def kinds_only(text: str, kinds: Collection[str] = KINDS) -> str:
    """The text as a model reads it: personal data and pseudonyms replaced by their kinds."""
    if not may_hold(text):
        return text
    return kinds_of_pseudonyms(replaced(text, find(text, kinds), lambda each: kind_token(each.kind)))


def kinds_of_pseudonyms(text: str) -> str:
    """The text with a kind in place of each pseudonym."""
    return _PSEUDONYM.sub(lambda found: kind_token(found[1]), text) if "<" in text else text


class Pseudonyms:
    """The pseudonyms of one tenant, whose key is 32 random bytes and is never shown."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def of(self, kind: str, value: str) -> str:
        """`<kind:hash>`: HMAC-SHA256 of kind and value under the tenant's key, cut to 48 bits."""
        message = f"{kind}\0{value}".encode("utf-8", "replace")
        return f"<{kind}:{hmac.digest(self.key, message, 'sha256').hex()[:HEX]}>"

    def mask(self, text: str, kinds: Collection[str] = KINDS) -> tuple[str, list[Kind]]:
        """The text with pseudonyms, and the kinds of what was masked."""
        finds = find(text, kinds)
        return replaced(text, finds, lambda each: self.of(each.kind, each.value)), [each.kind for each in finds]

    def views(self, text: str, kinds: Collection[str] = KINDS) -> tuple[str, str, list[Kind]]:
        """The text as it is stored, with pseudonyms, and as a model reads it; and the kinds of what was masked."""
        finds = find(text, kinds)
        stored = replaced(text, finds, lambda each: self.of(each.kind, each.value)) if finds else text
        seen = replaced(text, finds, lambda each: kind_token(each.kind)) if finds else text
        return stored, kinds_of_pseudonyms(seen), [each.kind for each in finds]

    def whole(self, kind: str, text: str, kinds: Collection[str] = KINDS) -> str:
        """The pseudonym of a whole cell; the same as within a text, where the cell is one datum and nothing else."""
        only = whole_find(text, kinds)
        value = only.value if only and only.kind == kind else unicodedata.normalize("NFKC", text).strip()
        return self.of(kind, value)


def whole_find(text: str, kinds: Collection[str] = KINDS) -> Find | None:
    """The one datum that a cell consists of, or None."""
    finds = find(text, kinds)
    only = finds[0] if len(finds) == 1 else None
    return only if only and only.end - only.start == len(text.strip()) else None


def counted(kinds: Mapping[Kind, int]) -> str:
    """`12 e-mail addresses and 3 phone numbers`."""
    parts = [f"{number:,} {PLURALS[kind][number != 1]}" for kind, number in kinds.items() if number]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
