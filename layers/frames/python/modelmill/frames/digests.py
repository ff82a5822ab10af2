"""Digests of rows: columns in, 16 bytes a row out (BLAKE2b, RFC 7693): equal cells, equal digest."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from itertools import pairwise
from string import ascii_lowercase, ascii_uppercase, punctuation
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Words = np.ndarray[Any, np.dtype[np.uint64]]
Offsets = np.ndarray[Any, np.dtype[np.int64]]
BYTES = 16
_SEPARATOR = "\x1f"
"""Between cells: cleaning leaves none in a cell, so that ("ab", "c") and ("a", "bc") stay apart; a null is empty."""
_FOLDED = bytes.maketrans(ascii_uppercase.encode(), ascii_lowercase.encode())
_DROPPED = (punctuation + " \t\r\n").encode()
_WIDE = re.compile(
    "[\u00a0\u00a1\u00ab\u00b7\u00bb\u00bf\u2000-\u206f\u3000-\u3003\u3008-\u301f\u3030"
    "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]+"
)
"""Spaces and punctuation beyond ASCII: of typographers, of Chinese and Japanese, and in full width."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Rows as bytes: the cells of each joined, and where each row begins and the last one ends."""

    data: memoryview
    offsets: Offsets

    @classmethod
    def of(cls, columns: Sequence[pa.Array]) -> "Joined":
        """The rows of these columns."""
        joined = pc.binary_join_element_wise(
            *(_strings(column) for column in columns),
            pa.scalar(_SEPARATOR, pa.large_string()),
            null_handling="replace",
            null_replacement="",
        )
        if len(joined) == 0:
            return cls(memoryview(b""), np.zeros(1, np.int64))
        offsets = np.frombuffer(joined.buffers()[1], np.int64)[joined.offset : joined.offset + len(joined) + 1]
        return cls(memoryview(joined.buffers()[2] or b""), offsets)

    def digests(self, seed: int, *, folded: bool = False) -> Words:
        """Two big-endian words a row, shape [rows, 2], of the row's cells and the seed.

        `folded` looks away from case, spaces and punctuation, so that nearly equal texts have one digest.
        """
        data, ranges = self.data, pairwise(self.offsets.tolist())
        salt = seed.to_bytes(16, "little")
        if folded:
            cells = (bytes(data[start:end]) for start, end in ranges)
            digests = [blake2b(_folded(cell), digest_size=BYTES, salt=salt).digest() for cell in cells]
        else:
            digests = [blake2b(data[start:end], digest_size=BYTES, salt=salt).digest() for start, end in ranges]
        return np.frombuffer(b"".join(digests), ">u8").reshape(-1, 2).astype(np.uint64)


def _folded(cell: bytes) -> bytes:
    """In lower case, without spaces and punctuation; one of nothing else as it is."""
    if cell.isascii():
        return cell.translate(_FOLDED, _DROPPED) or cell
    return _WIDE.sub("", str(cell, "utf-8").lower()).encode().translate(None, _DROPPED) or cell


def row_digests(columns: Sequence[pa.Array], seed: int) -> Words:
    """The digests of rows of these columns."""
    return Joined.of(columns).digests(seed)


class Content:
    """A digest of all cells of many rows: the same however the rows are cut into batches."""

    def __init__(self) -> None:
        self._lengths, self._cells = sha256(), sha256()

    def add(self, rows: Joined) -> None:
        """Count in some rows."""
        self._lengths.update(np.diff(rows.offsets).astype("<i8").tobytes())
        self._cells.update(rows.data[rows.offsets[0] : rows.offsets[-1]])

    def add_text(self, text: str) -> None:
        """Count in a row that has no cells."""
        data = text.encode("utf-8", "replace")
        self._lengths.update(np.array([-1 - len(data)], "<i8").tobytes())
        self._cells.update(data)

    def hexdigest(self) -> str:
        """The digest so far."""
        return sha256(self._lengths.digest() + self._cells.digest()).hexdigest()


def _strings(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column if pa.types.is_large_string(column.type) else pc.cast(column, pa.large_string())


def word_digests(strings: pa.Array, seed: int) -> Words:
    """One word for each string, of its content and the seed; nulls have one too."""
    distinct = strings.dictionary_encode(null_encoding="encode")
    words = row_digests([distinct.dictionary], seed)[:, 0]
    taken: Words = words[distinct.indices.to_numpy(zero_copy_only=False)]
    return taken


def mixed(words: Words, number: Words) -> Words:
    """Another word for each pair of a word and a number; the word itself for number 0 (splitmix64, Steele 2014)."""
    with np.errstate(over="ignore"):
        z = words + number * np.uint64(0x9E3779B97F4A7C15)
        again = z
        again = (again ^ (again >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        again = (again ^ (again >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        again = again ^ (again >> np.uint64(31))
    out: Words = np.where(number == 0, words, again)
    return out
