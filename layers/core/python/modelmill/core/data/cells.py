"""The grammar of cells: what people write for a missing value, how they write numbers, what nobody can see.

One grammar for files and for requests, so that a row taken from the file is read by the endpoint as it was in training.
"""

import re
import unicodedata
from typing import Literal

MISSING = (
    "", "?", "-", "--", "NA", "N/A", "n/a", "na", "<NA>", "#N/A", "NaN", "nan", "NAN", "-nan", "NULL", "Null", "null",
    "NaT", "\\N", "#NULL!", "#DIV/0!", "#VALUE!", "inf", "-inf", "Infinity", "-Infinity",
)  # fmt: skip
NONE = "None"
"""Python's word for a missing value, and a class in its own right: None, Some, Marked. The column decides."""
# No leading zeros: 007 and 01234 are codes. Both patterns are read by `re` and by Arrow's RE2.
PLAIN = r"^[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$"
DECORATED = (
    "^([+-]?)(?:[A-Z]{0,2}[$£€¥￥₹])?[ \u00a0]?"
    "((?:[1-9][0-9]{0,2}(?:[ \u00a0\u202f,][0-9]{3})+|0|[1-9][0-9]*)(?:\\.[0-9]+)?)"
    "[ \u00a0]?[%€元]?$"
)
"""A number with groups of thousands, a currency sign or a percent sign: sign and digits are the pattern's groups."""
GROUP_MARKS = "[ \u00a0\u202f,]"
LONGEST_NUMBER = 32
"""Characters of a decorated number."""
FORMULA = r"^(?:=[^=\s]|[+@-][^\s(|!]*[A-Za-z][^\s(|!]*[(|])"
"""What a spreadsheet would run on opening the file (OWASP, "CSV Injection"): `=cmd|…`, `@SUM(…)`, `-2+cmd|…`."""
# Tabs and line ends are text. The joiners U+200C and U+200D are, too: they make emoji, Persian and Indic words.
INVISIBLE = (
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # C0, DEL, C1
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"  # width 0, order of writing
)
"""Characters that leave no trace on paper and are taken out."""
SEPARATORS = r"[\x1c-\x1f]"
"""Control characters between cells: they never stand in one, because rows are told apart by them."""
BREAKS = r"[\x0b\x0c\x1c-\x1f\x85]"
"""Control characters that stand between words: they become a space."""
_DECORATED, _GROUP_MARK = re.compile(DECORATED), re.compile(GROUP_MARKS)
_INVISIBLE, _BREAKS, _SEPARATORS = re.compile(INVISIBLE), re.compile(BREAKS), re.compile(SEPARATORS)


def undecorated(text: str) -> str:
    """`1,234.5`, `$1 234.50` and `12%` as `1234.5`, `1234.50` and `12`; any other text as it is."""
    found = _DECORATED.match(text) if len(text) < LONGEST_NUMBER else None
    return found[1] + _GROUP_MARK.sub("", found[2]) if found else text


def visible(text: str) -> str:
    """A text without its invisible characters, and with a space for each control character between words."""
    # What is printable has neither, and is known to be so ten times as fast.
    return text if text.isprintable() else _BREAKS.sub(" ", _INVISIBLE.sub("", text))


def clean_text(text: str, *, unicode: Literal["nfc", "nfkc", "keep"], control: Literal["strip", "keep"]) -> str:
    """A cell as the data phase cleans it, but for missing values: the reference for whole columns."""
    text = visible(text) if control == "strip" else _SEPARATORS.sub(" ", text)
    if unicode != "keep" and not text.isascii():
        text = unicodedata.normalize("NFC" if unicode == "nfc" else "NFKC", text)
    return text.strip()
