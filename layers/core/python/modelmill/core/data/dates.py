"""Dates and times: the values of a column in, the format they are written in out; a cell and a format in, seconds out.

One format is decided for a whole column, so that 03/04/2021 is the same day in every row. Pure.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

DateFormat = Literal["ymd", "dmy", "mdy", "words", "chinese", "month", "compact", "seconds", "milliseconds", "time"]
_ALMOST = 0.98
_TIME = (
    r"(?:(?:T|,? +|(?<=日) *)(?P<H>\d{1,2}):(?P<M>\d\d)(?::(?P<S>\d\d)(?:[.,](?P<f>\d{1,9}))?)?"
    r"(?: ?(?P<p>[AaPp])\.?[Mm]\.?)?(?: ?(?P<z>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?)?$"
)
_DAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +)?"
_MONTH = r"(?P<n>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_YEAR = r"(?P<y>\d{4}|\d\d)"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def _patterns(*texts: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(text, re.ASCII | re.IGNORECASE) for text in texts)


_PATTERNS: dict[DateFormat, tuple[re.Pattern[str], ...]] = {
    "ymd": _patterns(r"(?P<y>\d{4})(?P<_>[-/.])(?P<m>\d{1,2})(?P=_)(?P<d>\d{1,2})" + _TIME),
    "chinese": _patterns(
        r"(?P<y>\d{4}) ?年 ?(?P<m>\d{1,2}) ?月 ?(?P<d>\d{1,2}) ?[日号]" + _TIME,
        r"(?P<y>\d{4})年(?P<m>\d{1,2})月(?P<d>\d{1,2})[日号] ?(?P<H>\d{1,2})[时点](?P<M>\d\d?)分(?:(?P<S>\d\d?)秒)?$",
    ),
    "dmy": _patterns(r"(?P<d>\d{1,2})(?P<_>[-/.])(?P<m>\d{1,2})(?P=_)(?P<y>\d{4}|(?<=/)\d\d)" + _TIME),
    "mdy": _patterns(r"(?P<m>\d{1,2})(?P<_>[-/])(?P<d>\d{1,2})(?P=_)(?P<y>\d{4}|(?<=/)\d\d)" + _TIME),
    "words": _patterns(
        _DAY + r"(?P<d>\d{1,2})(?:st|nd|rd|th)?[- ]+" + _MONTH + "[-, ]+" + _YEAR + _TIME,
        _DAY + _MONTH + r" +(?P<d>\d{1,2})(?:st|nd|rd|th)?,? +(?P<y>\d{4})" + _TIME,
        _DAY + _MONTH + r" +(?P<d>\d{1,2}) (?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)"
        r" (?:(?P<z>[+-]\d{4}|UTC|GMT) )?(?P<y>\d{4})$",
    ),
    "month": _patterns(
        r"(?P<y>\d{4})[-/](?P<m>0?[1-9]|1[0-2])$", _MONTH + r"[- ](?P<y>\d{4})$", r"(?P<y>\d{4})年(?P<m>\d{1,2})月$"
    ),
    "compact": _patterns(r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)(?:[T ]?(?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d))?(?P<z>Z)?$"),
    "seconds": _patterns(r"(?P<s>\d{9,10})(?:\.\d*)?$"),
    "milliseconds": _patterns(r"(?P<s>\d{12,13})(?:\.0*)?$"),
    "time": _patterns(
        r"(?P<H>\d{1,2}):(?P<M>\d\d)(?::(?P<S>\d\d)(?:[.,](?P<f>\d{1,9}))?)?(?: ?(?P<p>[AaPp])\.?[Mm]\.?)?$"
    ),
}  # fmt: skip
_TIME_WORDS = frozenset(
    {"date", "dates", "time", "times", "timestamp", "ts", "datetime", "day", "dt", "epoch", "unix", "at", "on", "dob",
     "created", "updated", "modified", "published", "posted", "when", "datum", "zeit", "fecha", "data", "jour"}
)  # fmt: skip
_TIME_MARKS = ("日期", "时间", "時間", "日時", "날짜", "시간", "дата", "время")
_FEW = 20
"""Fewer different numbers than this may look like days by accident."""
_FIRST_YEAR, _LAST_YEAR = 1900, 2100


def says_time(words: Sequence[str]) -> bool:
    """True if a column's name (its words, `name_words`) says that it holds times."""
    return bool(_TIME_WORDS & set(words)) or any(mark in word for mark in _TIME_MARKS for word in words)


def date_format(values: Sequence[str], *, named: bool) -> DateFormat | None:
    """The format that (nearly) all of these different values are written in, None for a column of other things.

    `named` says that the column's name speaks of time: without it, numbers are numbers. Days before months unless
    the values say otherwise; 03/04/2021 alone, with slashes, is March 4th.
    """
    if not values:
        return None
    fits = [name for name in _PATTERNS if _share(values, name) >= _ALMOST and _plausible(name, values, named=named)]
    if "dmy" in fits and "mdy" in fits:
        slashes = sum("/" in value for value in values)
        return "mdy" if 2 * slashes > len(values) else "dmy"
    return fits[0] if fits else None


def _share(values: Sequence[str], name: DateFormat) -> float:
    allowed = int((1 - _ALMOST) * len(values))
    failed = 0
    for value in values:
        failed += seconds_of(value, name) is None
        if failed > allowed:
            return 0.0
    return 1 - failed / len(values)


def _plausible(name: DateFormat, values: Sequence[str], *, named: bool) -> bool:
    if name in ("seconds", "milliseconds"):
        return named
    return name != "compact" or named or len(values) >= _FEW


def seconds_of(text: str, name: DateFormat) -> float | None:
    """Seconds since 1970, in UTC where no zone is said; since midnight for `time`; None for what is no such date."""
    if len(text) > 40:
        return None
    for pattern in _PATTERNS[name]:
        if found := pattern.match(text):
            try:
                return _READERS.get(name, _moment)(found.groupdict())
            except (ValueError, OverflowError):
                return None
    return None


def _moment(parts: dict[str, str | None]) -> float:
    year = int(parts.get("y") or 0)
    if year < 100:
        year += 2000 if year < 69 else 1900  # as POSIX's %y
    word = parts.get("n")
    month = _MONTHS.index(word.lower()) + 1 if word else int(parts.get("m") or 0)
    day = datetime(year, month, int(parts.get("d") or 1), tzinfo=_zone(parts.get("z")))
    return (day + timedelta(seconds=_clock(parts))).timestamp()


def _compact(parts: dict[str, str | None]) -> float:
    if not _FIRST_YEAR <= int(parts["y"] or 0) <= _LAST_YEAR:
        raise ValueError("not a year of ours")
    return _moment(parts)


def _clock(parts: dict[str, str | None]) -> float:
    """Seconds since midnight; raises ValueError for 25:00."""
    hour, minute, second = (int(parts.get(unit) or 0) for unit in "HMS")
    if half := parts.get("p"):
        if not 1 <= hour <= 12:
            raise ValueError("no hour of a half day")
        hour = hour % 12 + 12 * (half.lower() == "p")
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and minute + second > 0):
        raise ValueError("no time of day")
    return hour * 3600 + minute * 60 + second + float(f"0.{parts.get('f') or 0}")


def _zone(text: str | None) -> timezone:
    if not text or text[0] not in "+-":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _since_1970(parts: dict[str, str | None]) -> float:
    """Seconds of a count of seconds or milliseconds between 1990 and 2100."""
    count = float(parts["s"] or 0)
    seconds = count / 1000 if count > 1e11 else count
    if not 631_152_000 <= seconds < 4_102_444_800:
        raise ValueError("not a moment of ours")
    return seconds


_READERS: dict[DateFormat, Callable[[dict[str, str | None]], float]] = {
    "compact": _compact, "seconds": _since_1970, "milliseconds": _since_1970, "time": _clock,
}  # fmt: skip
