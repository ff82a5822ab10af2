"""The bytes of a column of strings: an Arrow array in, numpy views and the rows that need a second look out.

Most cells need no cleaning. A pass over all bytes of a column says so in a fraction of the time that any kernel
takes for each cell.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelmill.core.data.cells import BREAKS, INVISIBLE, SEPARATORS

Bytes = NDArray[np.uint8]
Rows = NDArray[np.int64]

CONTROL, SEPARATOR, COMPOSABLE, SPACE = 1, 2, 4, 8
"""What may be odd about a character: control or invisible; between cells; not in NFC for certain; white space."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A column with its bytes: cell i is `data[starts[i]:ends[i]]`. A null cell may have bytes that mean nothing."""

    column: pa.Array
    data: Bytes
    starts: Rows
    ends: Rows

    @classmethod
    def of(cls, column: pa.Array) -> "Cells":
        """Views of a large_string array, without a copy unless it is a slice."""
        _, places, content = column.buffers()
        if not len(column) or content is None:
            zeros = np.zeros(len(column), np.int64)
            return cls(column, np.zeros(0, np.uint8), zeros, zeros)
        offsets = np.frombuffer(places, np.int64)[column.offset : column.offset + len(column) + 1]
        data = np.frombuffer(content, np.uint8)[offsets[0] : offsets[-1]]
        if offsets[0]:
            offsets = offsets - offsets[0]
        return cls(column, data, offsets[:-1], offsets[1:])

    def at_start(self, place: int = 0) -> Bytes:
        """The byte of each cell at `place`; anything for a shorter cell. Needs data."""
        places = self.starts + place if place else self.starts
        if places[-1] >= len(self.data):
            places = np.minimum(places, len(self.data) - 1)
        return self.data[places]

    def at_end(self) -> Bytes:
        """The last byte of each cell; anything for an empty cell. Needs data."""
        return self.data[self.ends - 1]

    def rows_of(self, places: Rows) -> Rows:
        """The rows in which these places of the data lie, each once."""
        rows = np.searchsorted(self.ends, places, side="right")
        return rows[np.diff(rows, prepend=-1) > 0]  # places ascend, and so do rows


@dataclass(frozen=True, slots=True)
class Odd:
    """Places of characters that may be odd, with what about them (flags), in a column's data."""

    places: Rows
    flags: Bytes
    widths: Rows

    @classmethod
    def of(cls, data: Bytes) -> "Odd":
        """The odd characters of some UTF-8; none at the price of two passes if it is printable ASCII."""
        none = np.zeros(0, np.int64)
        if not len(data) or (data.min() >= 0x20 and data.max() < 0x7F):
            return cls(none, none.astype(np.uint8), none)
        known, leads = _flags()
        # Comparisons of whole buffers are ten times as fast as a table; the table then drops most of what they let by.
        likely = (data - np.uint8(0xC2) <= 0x21) | (data >= 0xEE) | (data == 0xEA) | (data == 0x7F)
        if data.min() < 0x20:
            likely |= data < 0x20
        places = np.flatnonzero(likely)
        places = places[leads[data[places]]]
        following = np.pad(data, (0, 2))
        lead, second, third = (following[places + shift].astype(np.int64) for shift in range(3))
        point = np.where(lead < 0x80, lead, (lead & 0x1F) << 6 | second & 0x3F)
        point = np.where(lead >= 0xE0, (lead & 0x0F) << 12 | (second & 0x3F) << 6 | third & 0x3F, point)
        flags = known[point & 0xFFFF]
        # Beyond the basic plane: emoji and rare Chinese characters are composed, the others may not be.
        flags[lead >= 0xF0] = np.where((lead == 0xF0) & (second >= 0x9F) & (second <= 0xAE), 0, COMPOSABLE)[
            lead >= 0xF0
        ]
        kept = flags > 0
        widths = 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)
        return cls(places[kept], flags[kept], widths[kept])

    def any(self, flag: int) -> bool:
        """True if a character has this flag."""
        return bool((self.flags & flag).any())

    def where(self, flag: int) -> Rows:
        """Places of the characters with this flag."""
        return self.places[(self.flags & flag) > 0]


@cache
def _flags() -> tuple[Bytes, NDArray[np.bool_]]:
    """Flags of each code point of the basic plane, and which bytes begin a character that may have one."""
    flags = np.zeros(0x10000, np.uint8)
    control, separator = re.compile(f"{INVISIBLE}|{BREAKS}"), re.compile(SEPARATORS)
    for point in (*range(0xD800), *range(0xE000, 0x10000)):
        character = chr(point)
        if control.match(character):
            flags[point] |= CONTROL
        if separator.match(character):
            flags[point] |= SEPARATOR
        if point >= 0x80 and character.isspace():
            flags[point] |= SPACE
        if unicodedata.combining(character) or not unicodedata.is_normalized("NFC", character):
            flags[point] |= COMPOSABLE
        parts = unicodedata.decomposition(character).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            flags[int(parts[1], 16)] |= COMPOSABLE  # it may melt into the character before it
    flags[0x1161:0x1200] |= COMPOSABLE  # the vowels and finals of Hangul, composed by rule and not by table
    leads = np.zeros(256, np.bool_)
    for point in np.flatnonzero(flags).tolist():
        leads[chr(point).encode("utf-8", "surrogatepass")[0]] = True
    leads[0xF0:] = True
    return flags, leads


def mend(column: pa.Array, rows: Rows, change: Callable[[pa.Array], pa.Array]) -> tuple[pa.Array, int]:
    """`column` with `change` applied to these rows, and how many cells became others."""
    if not len(rows):
        return column, 0
    mask = np.zeros(len(column), np.bool_)
    mask[rows] = True
    picked = pa.array(mask)
    old = column.filter(picked)
    new = change(old)
    changed = pc.sum(pc.not_equal(old, new)).as_py() or 0
    return (pc.replace_with_mask(column, picked, new) if changed else column), changed


def without(column: pa.Array, gone: NDArray[np.bool_]) -> pa.Array:
    """`column` with null where `gone`; offsets and bytes are shared, only the validity bitmap is new."""
    valid = ~gone
    if column.null_count:
        valid &= column.is_valid().to_numpy(zero_copy_only=False)
    _, places, content = column.buffers()
    width = 8
    begin = column.offset * width
    offsets = places.slice(begin, (len(column) + 1) * width)
    bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers: list[Any] = [bitmap, offsets, content]
    return pa.Array.from_buffers(column.type, len(column), buffers, null_count=int(len(valid) - valid.sum()))
