"""What kind a column is: its summary and what a sample of it shows in, a ColumnKind out.

The rules look at values only; a name counts just where it says that a column is a key (`id`, `编号`) or a time.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from modelmill.core.data.cells import NONE
from modelmill.core.data.dates import DateFormat
from modelmill.core.model.spec import ColumnKind

MAX_CATEGORIES = 1_000
"""More distinct values than this are a key, not a category."""
LONG_TEXT_WORDS, LONG_TEXT_CJK = 5.0, 8.0
"""Mean words (or Chinese, Japanese, Korean characters) from which a column is free text for certain."""
SHORT_TEXT_WORDS, SHORT_TEXT_CJK = 3.0, 4.0
_ALMOST = 0.98
_FEW_WORDS = 20
"""A column of words with at most so many different ones has classes, and `None` is one of them."""
_ID_WORDS = frozenset({"id", "ids", "uid", "uuid", "guid", "index", "idx", "rowid", "unnamed", "编号", "序号", "主键"})
_UNNAMED = re.compile(r"column_\d+$")
"""What the reader calls a column without a name: integers there are the row numbers that pandas and R write."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_a-zA-Z]+")


def name_words(name: str) -> tuple[str, ...]:
    """Lower-case words of a column's name: `LoanStatus_2` and `loan status` are both ("loan", "status")."""
    return tuple(word.lower() for word in _WORD.findall(name))


def listed(names: Sequence[str]) -> str:
    """Names for a message: at most 50 of them, none longer than 60 characters."""
    more = f" and {len(names) - 50} more" if len(names) > 50 else ""
    return ", ".join(name[:60] for name in names[:50]) + more


@dataclass(frozen=True, slots=True)
class ColumnSummary:
    """A column of the cleaned file; `distinct` is an estimate, `numbers` and `integers` are counts of such values.

    `mean_words` and `mean_cjk` are per non-null value; `minimum` and `maximum` are of the numbers.
    """

    name: str
    rows: int
    nulls: int
    numbers: int
    integers: int
    distinct: float
    minimum: float | None
    maximum: float | None
    mean_words: float
    mean_cjk: float

    @property
    def values(self) -> int:
        """How many rows have a value."""
        return self.rows - self.nulls

    @property
    def is_number(self) -> bool:
        """True if (nearly) every value reads as a number; the few others count as missing."""
        return self.values > 0 and self.numbers >= _ALMOST * self.values

    @property
    def is_integer(self) -> bool:
        """True if it is a number column without fractions."""
        return self.is_number and self.integers == self.numbers

    @property
    def distinct_ratio(self) -> float:
        """Distinct values per value, 0 for an empty column."""
        return min(1.0, self.distinct / self.values) if self.values else 0.0

    @property
    def is_long_text(self) -> bool:
        """True for sentences and longer."""
        return self.mean_words >= LONG_TEXT_WORDS or self.mean_cjk >= LONG_TEXT_CJK

    @property
    def is_almost_empty(self) -> bool:
        """True if fewer than one row in twenty has a value."""
        return self.values < 0.05 * self.rows


@dataclass(frozen=True, slots=True)
class Facts:
    """What a sample of some thousand rows shows of a column, and its summary does not."""

    boolean: bool = False
    """Its words are a yes and a no."""
    date: DateFormat | None = None
    language: str | None = None
    """Of sentences: an ISO 639-1 code, `mixed` or `unknown`."""
    html: bool = False
    """Tags or entities are common."""
    media: Literal["image", "audio"] | None = None
    tags: str | None = None
    """What separates the tags of a cell, if cells are lists of tags that come back in other combinations."""


NOTHING = Facts()


def _is_key(summary: ColumnSummary) -> bool:
    """True for numbers that name a row or a thing rather than measure it."""
    if not summary.is_integer or summary.minimum is None or summary.maximum is None:
        return False
    named = _ID_WORDS & set(name_words(summary.name)) or _UNNAMED.match(summary.name)
    if named and (summary.distinct > 100 or summary.distinct_ratio > 0.9):
        return True
    run = summary.maximum - summary.minimum + 1
    if summary.values >= 20 and summary.distinct_ratio >= 0.95 and run == summary.values:
        return True
    # What is left of a running number after rows were dropped: measures in so narrow a range would repeat.
    return summary.values >= 100 and summary.distinct_ratio >= 0.97 and run <= 5 * summary.values


def _kind_of_strings(summary: ColumnSummary) -> ColumnKind:
    wordy = summary.mean_words >= SHORT_TEXT_WORDS or summary.mean_cjk >= SHORT_TEXT_CJK
    if wordy and summary.distinct > 20 and (summary.distinct_ratio >= 0.3 or summary.mean_words >= 15):
        return "text"
    if summary.is_long_text and summary.distinct_ratio > 0.9:
        return "text"
    if summary.distinct > MAX_CATEGORIES or summary.distinct_ratio > 0.95:
        return "identifier"
    return "category" if summary.distinct <= 20 or summary.distinct_ratio <= 0.5 else "identifier"


def kind_of(summary: ColumnSummary, facts: Facts = NOTHING) -> ColumnKind:
    """The column's kind, for people; an (almost) empty column is constant too. See `input_kind` for models."""
    if facts.media:
        return facts.media
    if summary.is_almost_empty or (summary.distinct < 1.5 and summary.nulls == 0):
        return "constant"
    if facts.date:
        return "date"
    if facts.boolean or _is_bit(summary):
        return "boolean"
    return _kind_of_numbers(summary) if summary.is_number else _kind_of_strings(summary)


def _kind_of_numbers(summary: ColumnSummary) -> ColumnKind:
    if summary.distinct < 1.5:
        return "category"
    return "identifier" if _is_key(summary) else "number"


def input_kind(summary: ColumnSummary, kind: ColumnKind) -> ColumnKind:
    """How a model reads a column of this kind: a boolean as the number or the words that it is written in."""
    if kind != "boolean":
        return kind
    return "number" if summary.is_number else "category"


def _is_bit(summary: ColumnSummary) -> bool:
    return summary.is_integer and (summary.minimum, summary.maximum) == (0, 1) and summary.numbers == summary.values


def none_is_class(summary: ColumnSummary, frequent: Mapping[str, int]) -> bool:
    """Whether `None` is a class of a clean column, not a missing value: its other values are a few words.

    `frequent` are its frequent values with their counts: all of them, if they are few.
    """
    others = [value for value in frequent if value != NONE]
    return NONE in frequent and len(others) > 0 and summary.distinct <= _FEW_WORDS + 1.5 and summary.numbers == 0


def is_regression_target(summary: ColumnSummary) -> bool:
    """True for a target that measures: classes are few, or a dense run of whole numbers such as 0..99."""
    if not summary.is_number or summary.minimum is None or summary.maximum is None:
        return False
    if not summary.is_integer:
        return summary.distinct > 10 or summary.values < 10 * summary.distinct
    if summary.distinct <= 20:
        return False
    dense = summary.distinct > 0.5 * (summary.maximum - summary.minimum + 1)
    return not (dense and summary.distinct <= 200 and summary.values >= 10 * summary.distinct)


def can_be_classes(summary: ColumnSummary) -> bool:
    """True if the column could be a target nobody named: at least two classes that come back often."""
    if summary.values == 0 or summary.distinct < 1.5 or is_regression_target(summary) or summary.is_almost_empty:
        return False
    return summary.distinct <= 20 or (summary.distinct <= 200 and summary.distinct_ratio <= 0.1)


def looks_like_classes(summary: ColumnSummary) -> bool:
    """True if its values alone, without a telling name, say classes: no fractions, and not numbers of many values."""
    return can_be_classes(summary) and (not summary.is_number or (summary.is_integer and summary.distinct < 20.5))
