"""The dialect of a delimited file: the first megabyte of its text in; delimiter, quoting and column names out."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from modelmill.core.data.cells import MISSING
from modelmill.core.data.split import FOLD
from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.core.limits import CELL_CHARACTERS, COLUMNS

SAMPLE_BYTES = 1024 * 1024
Quoting = Literal["doubled", "escaped", "off"]
_DELIMITERS = (",", "\t", ";", "|")
_NAME_CHARACTERS = 128
# Three digits after the mark may be thousands, unless a single zero stands before it.
_COMMA_NUMBER = re.compile(
    r"[+-]?(?:[$£€¥￥₹]\s?)?(?:\d+(?:\.\d{3})*,(?:\d{1,2}|\d{4,})|0,\d+)[ \u00a0]?[%€元]?$", re.ASCII
)
_POINT_NUMBER = re.compile(r"[+-]?(?:\d*\.(?:\d{1,2}|\d{4,})|0?\.\d+)$", re.ASCII)
_COMMA_WARNING = DataWarning(
    code="decimal_comma",
    message="numbers are written with a decimal comma (1,5); send them to the endpoint as JSON numbers (1.5)",
)
# What no name may hold: columns of ours begin with one, and JSON can write half of a surrogate pair.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_BY_SUFFIX = {".tsv": "\t", ".tab": "\t", ".csv": ","}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to cut rows into cells: a quote inside quotes is doubled or escaped by a backslash, or quotes are off."""

    delimiter: str
    quoting: Quoting
    header: tuple[str, ...]
    """Unique, trimmed, never empty."""
    warnings: tuple[DataWarning, ...] = ()
    decimal_comma: bool = False
    """Numbers are written 1.234,5."""
    skipped: int = 0
    """Bytes of UTF-8 before the header: blank lines, and Excel's line `sep=;`."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    delimiter: str
    quoting: Quoting
    rows: list[list[str]]
    well_formed: bool
    text: str

    @property
    def share(self) -> float:
        """Share of rows with as many cells as the header."""
        width = len(self.rows[0])
        return sum(len(row) == width for row in self.rows) / len(self.rows)

    @property
    def swallows_lines(self) -> bool:
        return any("\n" in cell for row in self.rows for cell in row)

    @property
    def is_written_so(self) -> bool:
        """Whether a program wrote these quotes: they hold doubled ones, and writing the rows again gives the text."""
        if self.quoting != "doubled" or not any("\n" in cell and '"' in cell for row in self.rows for cell in row):
            return False
        again = io.StringIO(newline="")
        csv.writer(again, delimiter=self.delimiter, lineterminator="\n").writerows(self.rows)
        # The sample may end within a cell.
        return self.text.replace("\r\n", "\n").lstrip("\n").startswith(again.getvalue().rstrip("\n"))


def _rows(text: str, delimiter: str, quoting: Quoting) -> tuple[list[list[str]], bool]:
    """Rows of the sample, and whether its quotes are balanced; the cut at the sample's end does not count."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_NONE if quoting == "off" else csv.QUOTE_MINIMAL,
        doublequote=quoting == "doubled",
        escapechar="\\" if quoting == "escaped" else None,
        strict=quoting != "off",
    )
    rows: list[list[str]] = []
    try:
        rows.extend(row for row in reader if row)
    except csv.Error as error:
        return rows, "unexpected end" in str(error)
    return rows, True


def _attempts(text: str, delimiters: Sequence[str]) -> list[_Attempt]:
    attempts = []
    first = text.lstrip("\r\n").split("\n", 1)[0]
    quotings: tuple[Quoting, ...] = ("doubled", "escaped", "off") if '\\"' in text else ("doubled", "off")
    for delimiter in delimiters:
        if delimiter not in first and '"' not in first:
            continue
        for quoting in quotings if '"' in text else quotings[:1]:
            rows, well_formed = _rows(text, delimiter, quoting)
            if rows and len(rows[0]) > 1:
                attempts.append(_Attempt(delimiter, quoting, rows, well_formed, text))
    return attempts


def _rank(attempt: _Attempt, attempts: list[_Attempt]) -> tuple[float, bool, bool, int]:
    """Well-formed and consistent first; quotes that swallow lines lose to an equally consistent reading without."""
    share = round(attempt.share, 2)
    rival = any(
        other.delimiter == attempt.delimiter and other.quoting == "off" and other.share == 1 for other in attempts
    )
    swallowed = rival and attempt.quoting != "off" and attempt.swallows_lines and not attempt.is_written_so
    broken = not attempt.well_formed
    return (share - 0.5 * broken, not swallowed, attempt.quoting != "off", len(attempt.rows[0]))


def sniff_dialect(sample: str, suffix: str = "", *, complete: bool = True, delimiter: str = "") -> Dialect:
    """The dialect of a table that begins with `sample`.

    `complete` says that the sample is the whole file; `suffix` breaks ties, a `delimiter` that is told is the one.
    Raises Rejected: one_column, no_header, not_a_data_file, too_many_columns.
    """
    # The csv module's limit is per process; ours is the larger one everywhere.
    csv.field_size_limit(max(csv.field_size_limit(), CELL_CHARACTERS, SAMPLE_BYTES))
    text = sample if complete else sample[: sample.rfind("\n") + 1] or sample
    preferred = _BY_SUFFIX.get(suffix)
    delimiters = [delimiter] if delimiter else sorted(_DELIMITERS, key=lambda mark: mark != preferred)
    attempts = _attempts(text, delimiters)
    if not attempts:
        raise Rejected(
            "one_column",
            "the first row has one column only: inputs and a target need two",
            hint="separate columns by commas, tabs, semicolons or bars, with the column names in the first row",
        )
    best = max(attempts, key=lambda attempt: _rank(attempt, attempts))
    if best.share < 0.3 and len(best.rows) > 3:
        raise Rejected(
            "not_a_data_file",
            f"the lines have no constant number of columns (the first has {len(best.rows[0])})",
            hint='put cells that contain the separator into double quotes: "a, b"',
        )
    if len(best.rows[0]) > COLUMNS:
        raise Rejected("too_many_columns", f"the file has {len(best.rows[0])} columns", limit=COLUMNS)
    _check_header(best.rows)
    header, warnings = unique_names(best.rows[0])
    if best.delimiter != "," and _writes_decimal_commas(best.rows[1:2000]):
        return Dialect(best.delimiter, best.quoting, header, (*warnings, _COMMA_WARNING), decimal_comma=True)
    return Dialect(best.delimiter, best.quoting, header, warnings)


def _writes_decimal_commas(rows: list[list[str]]) -> bool:
    """True if cells are numbers with a comma that cannot stand between thousands, and none has a decimal point."""
    cells = [cell.strip() for row in rows for cell in row]
    return any(map(_COMMA_NUMBER.match, cells)) and not any(map(_POINT_NUMBER.match, cells))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _check_header(rows: list[list[str]]) -> None:
    """Refuse a first row that is data: half numbers, or a value that its column repeats and no cell that is a name.

    A column `spam` may hold spam and ham: then a word over numbers or over sentences tells that the row is names.
    """
    header = [cell.strip() for cell in rows[0]]
    numbers = [cell for cell in header if _is_number(cell)]
    counted = [str(index) for index in range(len(numbers))]
    counts = numbers == counted
    looks_like_data = 2 * len(numbers) >= len(header) and not counts
    body = [row for row in rows[1:2000] if len(row) == len(header)]
    repeated = False
    for index, cell in enumerate(header):
        seen = Counter(row[index].strip() for row in body)
        repeated |= bool(cell) and seen[cell] >= 2 and seen[cell] >= 0.02 * len(body)
    names_something = any(_is_name(cell, [row[index] for row in body]) for index, cell in enumerate(header))
    if looks_like_data or (repeated and not names_something):
        names = ", ".join(cell[:30] for cell in header[:10])
        raise Rejected(
            "no_header",
            f"the first row looks like data, not like column names: {names}",
            hint="add a first row with a name for each column, for example: text,label",
        )


def _is_name(cell: str, column: list[str]) -> bool:
    """True for a word over numbers, or a word or two over sentences."""
    values = [value for value in column if value.strip()]
    if cell in MISSING or not values or _is_number(cell):
        return False
    words = sum(len(value.split()) for value in values) / len(values)
    return sum(map(_is_number, values)) > 0.9 * len(values) or (words >= 5 and len(cell.split()) <= 2)


def unique_names(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[DataWarning, ...]]:
    """Trimmed names without control characters, `column_N` for an empty one, `_2`, `_3` … after one that was there."""
    taken: dict[str, None] = {}
    changed = []
    for number, raw in enumerate(names, start=1):
        trimmed = raw.strip().strip("\ufeff")[:_NAME_CHARACTERS]
        base = name = " ".join(_CONTROL.split(trimmed)).strip() or f"column_{number}"
        again = 1
        while name in taken or name == FOLD:
            again += 1
            name = f"{base}_{again}"
        if name != (trimmed or base):
            changed.append(name)
        taken[name] = None
    if not changed:
        return tuple(taken), ()
    shown = ", ".join(changed[:20])
    text = f"column names that were there already got a number, control characters in names became spaces: {shown}"
    return tuple(taken), (DataWarning(code="column_renamed", message=text),)
