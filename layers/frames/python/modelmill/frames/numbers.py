"""Numbers in cells: strings in, float64 out, by the grammar of `core.data.cells`.

The grammar is two regular expressions. Arrow's cast reads plain numbers many times as fast, so the expressions are
asked only about cells that the cast would read otherwise.
"""

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelmill.core.data.cells import DECORATED, GROUP_MARKS, LONGEST_NUMBER, PLAIN
from modelmill.frames.cells import Cells, Rows

LARGEST = 3.0e38
"""Numbers beyond it do not fit a float32, in which models compute: they count as missing."""
_DIGITS, _UPPER, _SIGNS = b"0123456789", bytes(range(0x41, 0x5B)), b"+-"
# Signs of currency, gaps and 元 are of two or three bytes; these are the first of them.
_MARKS = b"$\xc2\xe2\xef"
_FOLLOWS = (
    (_DIGITS, _DIGITS + b".,eE% \xc2\xe2\xe5"),
    (_SIGNS, _DIGITS + b". " + _UPPER + _MARKS),
    (b".", _DIGITS),
    (_UPPER, _UPPER + _MARKS),
    (b"$", _DIGITS + b" \xc2"),
    (b" ", _DIGITS),
    (b"\xc2", b"\xa0\xa3\xa5"),
    (b"\xe2", b"\x82"),
    (b"\xef", b"\xbf"),
)
"""First bytes of a number of two bytes or more, and what may follow them."""
_ENDS = np.zeros(256, np.bool_)
_ENDS[list(_DIGITS + b".% \xa0\xac\x83")] = True
_DIGIT = np.zeros(256, np.bool_)
_DIGIT[list(_DIGITS)] = True
_NEVER = np.ones(256, np.bool_)
"""Bytes that no number has."""
_NEVER[list(_DIGITS + _UPPER + _SIGNS + b"., eE$%")] = False
_NEVER[0x80:] = False
_CASTABLE = _DIGIT.copy()
_CASTABLE[list(b"+-.eE")] = True


@cache
def _begins() -> NDArray[np.bool_]:
    """Whether two bytes may begin a number, at 256 times the first plus the second."""
    table = np.zeros(0x10000, np.bool_)
    for first, second in _FOLLOWS:
        table[[256 * one + other for one in first for other in second]] = True
    return table


def parse_numbers(strings: pa.Array) -> pa.Array:
    """float64 of the strings that are finite decimal numbers (1,234.5 and $12 and 5% too), null for the others."""
    numbers = np.full(len(strings), np.nan)
    cells = Cells.of(strings if strings.type == pa.large_string() else pc.cast(strings, pa.large_string()))
    if len(cells.data):
        rows = _likely(cells)
        if len(rows) == len(strings):
            numbers = _read(cells)
        elif len(rows):
            numbers[rows] = _read(Cells.of(cells.column.take(pa.array(rows))))
    return pa.array(numbers, mask=~(np.abs(numbers) <= LARGEST))


def _likely(cells: Cells) -> Rows:
    """Rows that begin and end as a number does; none of them is null or empty."""
    lengths = cells.ends - cells.starts
    first, second = cells.at_start(), cells.at_start(1)
    likely = _begins()[first.astype(np.uint16) << 8 | second]
    short = lengths < 2
    if short.any():
        likely = np.where(short, (lengths == 1) & _DIGIT[first], likely)
    likely &= _ENDS[cells.at_end()]
    if cells.column.null_count:
        likely &= cells.column.is_valid().to_numpy(zero_copy_only=False)
    return np.flatnonzero(likely)


def _read(cells: Cells) -> NDArray[np.float64]:
    """Numbers of likely cells, NaN for what is none: by a cast where it agrees with the grammar."""
    others = np.concatenate([_with_leading_zeros(cells), _hyphenated(cells)])
    odd = np.zeros(0, np.int64)
    if cells.data.min() < ord("-") or cells.data.max() > ord("9") or (cells.data == ord("/")).any():
        odd = cells.rows_of(np.flatnonzero(~_CASTABLE[cells.data]))
        others = np.concatenate([others, _with_long_exponents(cells)])
    if not len(odd) and not len(others):
        return _cast(cells.column)
    numbers = np.full(len(cells.column), np.nan)
    left = np.ones(len(numbers), np.bool_)
    left[others] = False
    odd = odd[left[odd]]
    left[odd] = False
    rest = np.flatnonzero(left)
    if len(rest):
        numbers[rest] = _cast(cells.column.take(pa.array(rest)))
    if len(odd):
        numbers[odd] = _by_grammar(cells.column.take(pa.array(odd)))
    return numbers


def _with_leading_zeros(cells: Cells) -> Rows:
    """Rows such as 007 and -01: codes, which a cast would read."""
    first, second = cells.at_start(), cells.at_start(1)
    long = cells.ends - cells.starts > 1
    codes = (first == ord("0")) & _DIGIT[second] & long
    signed = np.flatnonzero(((first == ord("-")) | (first == ord("+"))) & (second == ord("0")))
    if len(signed):
        third = _DIGIT[cells.at_start(2)[signed]] & (cells.ends - cells.starts > 2)[signed]
        codes[signed[third]] = True
    return np.flatnonzero(codes)


def _with_long_exponents(cells: Cells) -> Rows:
    """Rows such as 1e0001: by the grammar an exponent has three digits."""
    marks = np.flatnonzero((cells.data | 0x20) == ord("e"))
    if not len(marks):
        return marks
    rows = np.searchsorted(cells.ends, marks, side="right")
    # Only after a digit or a point it is an exponent's: the E of `E£0` belongs to the currency.
    before = cells.data[marks - 1]
    inside = (marks > cells.starts[rows]) & (_DIGIT[before] | (before == ord(".")))
    marks, rows = marks[inside], rows[inside]
    after = cells.data[np.minimum(marks + 1, len(cells.data) - 1)]
    digits = cells.ends[rows] - marks - 1 - ((after == ord("-")) | (after == ord("+")))
    long: Rows = rows[digits > 3]
    return long


def _hyphenated(cells: Cells) -> Rows:
    """Rows with a hyphen between digits, or a byte that no number has: dates, codes, words."""
    data = cells.data
    hyphens = np.zeros(0, np.int64)
    is_hyphen = data == ord("-")
    if np.count_nonzero(is_hyphen) > np.count_nonzero(cells.at_start() == ord("-")):
        hyphens = np.flatnonzero(is_hyphen)
        rows = np.searchsorted(cells.ends, hyphens, side="right")
        before = data[hyphens - 1]
        inside = (hyphens > cells.starts[rows]) & (before != ord("e")) & (before != ord("E"))
        hyphens = rows[inside]
    if data.max() <= ord("9"):
        return hyphens
    return np.concatenate([hyphens, cells.rows_of(np.flatnonzero(_NEVER[data]))])


def _cast(strings: pa.Array) -> NDArray[np.float64]:
    try:
        return _values(pc.cast(strings, pa.float64()))
    except pa.ArrowInvalid:  # digits, points and hyphens that are no number: a date, a version, an address
        return _by_grammar(strings)


def _by_grammar(strings: pa.Array) -> NDArray[np.float64]:
    """The definition: what the two expressions match."""
    plain = pc.match_substring_regex(strings, PLAIN)
    if pc.any(pc.invert(plain)).as_py():
        short = pc.and_(pc.invert(plain), pc.less(pc.utf8_length(strings), LONGEST_NUMBER))
        decorated = pc.and_(short, pc.match_substring_regex(pc.if_else(short, strings, ""), DECORATED))
        if pc.any(decorated).as_py():
            bare = pc.replace_substring_regex(pc.if_else(decorated, strings, "0"), DECORATED, r"\1\2")
            strings = pc.if_else(decorated, pc.replace_substring_regex(bare, GROUP_MARKS, ""), strings)
            plain = pc.or_(plain, decorated)
    kept = pc.if_else(plain, strings, pa.scalar(None, strings.type))
    return _values(pc.cast(pc.utf8_ltrim(kept, characters="+"), pa.float64()))


def _values(numbers: pa.Array) -> NDArray[np.float64]:
    values: NDArray[np.float64] = pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False)
    return values
