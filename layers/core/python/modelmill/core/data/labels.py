"""Class names: the values of a target with their counts in, one spelling for each class out. Pure.

`Yes`, `yes ` and `YES` are one class; `+1` and `-1`, `C` and `C++`, `1.0` and `10` are not. What may carry meaning is
kept: signs, operators, digits, decimal points, leading punctuation, a question mark, emoji.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from modelmill.core.data.cells import PLAIN, clean_text
from modelmill.core.data.columns import ColumnSummary
from modelmill.core.data.tags import tags_of
from modelmill.core.data.version import DataWarning
from modelmill.core.model.task import TAG_SEPARATOR

_PLAIN = re.compile(PLAIN)
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\ufe0f": None})
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_QUOTED = re.compile(r"""(['"`])(.*)\1$""")
_END = re.compile(r"(?<=[\w)\]%])[.,;:!\u3002\u3001]+$")
"""Punctuation after the last word."""
_JOINED = re.compile(r"(?<=[^\W\d_])(?: ?[-_] ?)(?=[^\W\d_])|(?<=[^\W\d_])_(?=\d)|(?<=\d)_(?=[^\W\d_])")
"""A hyphen or underscore that stands for the space between words; beside a digit a hyphen may be a minus."""
_LOOSE = re.compile(rf" (?=[<>=≤≥&/|])|(?<=[<>=≤≥&/|]) |(?<=[{_CJK}]) (?=[{_CJK}])")
"""Spaces that separate nothing."""
_CASE_PAIRS = 3
"""So many single letters in both cases are an alphabet (of characters to be read, say), not spellings of yes and no."""


@dataclass(frozen=True, slots=True)
class TargetForm:
    """How the target's cells are written as class names."""

    numeric: bool = False
    boolean: bool = False
    spellings: dict[str, str] = field(default_factory=dict)
    tags: str | None = None
    """What separates the tags of a cell, for a target of tags."""

    def class_name(self, value: str | None) -> str | None:
        """`1.0` as `1` if numeric, `True` as `true` if boolean, a list's joined tags, else the class's spelling."""
        if value is None:
            return None
        if self.tags is not None:
            return TAG_SEPARATOR.join(tags_of(value, self.tags))
        if self.numeric and _PLAIN.match(value):
            return _number_name(float(value), value)
        return self.spellings.get(value, value.lower() if self.boolean else value)


def _number_name(number: float, text: str) -> str:
    if abs(number) >= 2**53:
        return repr(number) if "." in text or "e" in text.lower() else text
    return str(int(number)) if number == int(number) else repr(number)


def decide_target_form(summary: ColumnSummary, frequent: Mapping[str, int], *, unify_labels: bool = True) -> TargetForm:
    """The form of a target of classes, from its profile and its frequent values with their counts."""
    if summary.numbers == summary.values and all(map(_PLAIN.match, frequent)):
        return TargetForm(numeric=True)
    if frequent and summary.distinct < 7 and all(value.lower() in ("true", "false") for value in frequent):
        return TargetForm(boolean=True)
    return TargetForm(spellings=unify(frequent) if unify_labels else {})


def unify(counts: Mapping[str, int]) -> dict[str, str]:
    """Other spellings of a class → its spelling: the most frequent one, of equals the first by code point."""
    groups: dict[str, list[str]] = defaultdict(list)
    keep_case = _is_alphabet(counts)
    for label in counts:
        groups[_key(label, keep_case=keep_case)].append(label)
    changed = {}
    for labels in groups.values():
        canonical = min(labels, key=lambda label: (-counts[label], label))
        changed.update({label: canonical for label in labels if label != canonical})
    return changed


def unified_warning(spellings: Mapping[str, str]) -> list[DataWarning]:
    """`labels_unified`: what became what."""
    if not spellings:
        return []
    pairs = [f"{label[:60]!r} is {canonical[:60]!r}" for label, canonical in sorted(spellings.items())]
    more = f" and {len(pairs) - 20} more" if len(pairs) > 20 else ""
    text = f"spellings of one class were unified: {', '.join(pairs[:20])}{more}; `clean: {{labels: keep}}` keeps them"
    return [DataWarning(code="labels_unified", message=text)]


def _is_alphabet(counts: Mapping[str, int]) -> bool:
    letters = {label for label in counts if len(label) == 1 and label != label.swapcase()}
    return sum(label.lower() in letters and label.upper() in letters for label in letters) >= 2 * _CASE_PAIRS


def _key(label: str, *, keep_case: bool) -> str:
    """What is equal for spellings of one class."""
    text = clean_text(_of_one_width(label), unicode="nfc", control="strip").translate(_QUOTES)
    text = " ".join(_DASHES.sub("-", text).split())
    text = text if keep_case and len(text) == 1 else unicodedata.normalize("NFC", text.lower())
    quoted = _QUOTED.match(text)
    text = (quoted[2].strip() if quoted else text) or text
    text = _LOOSE.sub("", text)
    text = _JOINED.sub(" ", text)
    return _END.sub("", text)


def _of_one_width(text: str) -> str:
    """Wide and narrow forms as the usual ones. Not NFKC, for which 10² is 102 and ½ is 1⁄2."""
    return text if text.isascii() else "".join(map(_usual, text))


def _usual(character: str) -> str:
    tag = unicodedata.decomposition(character).partition(" ")[0]
    wide = tag in ("<wide>", "<narrow>", "<noBreak>")
    return unicodedata.normalize("NFKC", character) if wide else character
