"""The grammar of cells: what people write for a missing value, and how they write numbers.

One grammar for files and for requests, so that a row taken from the file is read by the endpoint as it was in training.
"""

import re

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
_DECORATED, _GROUP_MARK = re.compile(DECORATED), re.compile(GROUP_MARKS)


def undecorated(text: str) -> str:
    """`1,234.5`, `$1 234.50` and `12%` as `1234.5`, `1234.50` and `12`; any other text as it is."""
    found = _DECORATED.match(text) if len(text) < LONGEST_NUMBER else None
    return found[1] + _GROUP_MARK.sub("", found[2]) if found else text
