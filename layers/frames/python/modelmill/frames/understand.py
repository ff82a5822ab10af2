"""Understanding: a sample of some thousand clean rows in, what each column holds out.

The sample is chosen by content, so the facts are the same however the data was cut. Counts over all rows come from
the profile; here is what only the cells themselves can tell.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.columns import Facts, name_words
from modelmill.core.data.dates import DateFormat, date_format, says_time, seconds_of
from modelmill.core.data.html import has_html
from modelmill.core.data.language import language_of
from modelmill.core.data.tags import separator_of
from modelmill.core.data.words import is_yes_and_no
from modelmill.frames.numbers import parse_numbers

_VALUES = 1_000
"""So many different values of a column are looked at one by one."""
_HTML_SHARE, _HTML_CELLS = 0.01, 2
_SENTENCE_CHARACTERS = 12.0
_MEDIA = re.compile(
    r"[0-9a-f]{32}:.+\.(?:(?P<image>png|jpe?g|jpe|jfif|gif|bmp|webp|tiff?)|(?P<audio>wave?|mp3|flac|ogg|m4a))$",
    re.IGNORECASE,
)
_FENCE = 3.0
"""Tukey's outer fences: so many interquartile ranges below the first and above the third quartile."""
_EXAMPLES = 5


def understand(sample: pa.Table) -> dict[str, Facts]:
    """Facts of each column of large_string cells."""
    return {
        name: _facts(name, column.combine_chunks().drop_null())
        for name, column in zip(sample.column_names, sample.columns, strict=True)
    }


def _facts(name: str, strings: pa.Array) -> Facts:
    values: list[str] = strings.unique()[:_VALUES].to_pylist()
    if not values:
        return Facts()
    if media := _media(values):
        return Facts(media=media)
    if is_yes_and_no(values):
        return Facts(boolean=True)
    if found := date_format(values, named=says_time(name_words(name))):
        return Facts(date=found)
    return Facts(language=_language(values), html=_is_html(values), tags=separator_of(values))


def _media(values: Sequence[str]) -> Any:
    kinds = {found.lastgroup if (found := _MEDIA.match(value)) else None for value in values}
    return kinds.pop() if len(kinds) == 1 else None


def _is_html(values: Sequence[str]) -> bool:
    tagged = sum(map(has_html, values))
    return tagged >= _HTML_CELLS and tagged >= _HTML_SHARE * len(values)


def _language(values: Sequence[str]) -> str | None:
    """None for short values: names, codes and categories are in no language."""
    lengths = [len(value.encode("utf-8", "surrogatepass")) for value in values]
    return language_of(values) if sum(lengths) >= _SENTENCE_CHARACTERS * len(values) else None


def parse_dates(column: pa.Array, name: DateFormat) -> pa.Array:
    """float64 seconds since 1970 (since midnight for `time`) of clean strings, null for what is no such date."""
    coded = column.dictionary_encode()
    moments = pa.array([seconds_of(value, name) for value in coded.dictionary.to_pylist()], pa.float64())
    return pc.take(moments, coded.indices)


@dataclass(frozen=True, slots=True)
class Outliers:
    """Numbers beyond Tukey's outer fences: flagged, never changed. `count` is estimated for all rows of a profile."""

    low: float
    high: float
    count: int
    examples: tuple[float, ...]


def outliers(quantiles: Any, count: int, sample: pa.Array) -> Outliers | None:
    """Outliers of `count` numbers with a t-digest of them, and a sample of the column; None if there are none.

    A column in which half of the numbers are equal has no scale, and so no outliers.
    """
    if count < 20 or quantiles.is_empty():
        return None
    first, third = quantiles.get_quantile(0.25), quantiles.get_quantile(0.75)
    if third <= first:
        return None
    low, high = first - _FENCE * (third - first), third + _FENCE * (third - first)
    share = quantiles.get_rank(low) + 1 - quantiles.get_rank(high)
    numbers = parse_numbers(sample).drop_null().to_numpy(zero_copy_only=False)
    beyond = np.unique(numbers[(numbers < low) | (numbers > high)])
    ranked = sorted(beyond.tolist(), key=lambda number: (-max(low - number, number - high), number))
    found = max(round(share * count), len(ranked))
    return Outliers(low, high, found, tuple(ranked[:_EXAMPLES])) if found else None
