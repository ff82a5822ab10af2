"""Tokens of the training rows in; their n-grams, and pieces of words, counted row by row out.

N-grams are counted as integers, level by level: an n-gram can be frequent only if both (n-1)-grams in it are
(the Apriori rule; Agrawal and Srikant 1994), so rare ones are never built as strings.
"""

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelmill.core.model.tokens import is_unspaced, pieces

Ints = NDArray[np.int64]
Numbers = NDArray[np.int32]
_END = -1
PIECE_SIZES = (3, 5)
"""Characters of a piece of a word."""


class _Numbering(dict[str, int]):
    """The number of each string, in the order in which they are met."""

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self)
        return number


@dataclass(frozen=True, slots=True)
class Counted:
    """How often each row holds each n-gram: `counts[i]` times `ids[i]` in the row `rows[i]`, sorted by rows.

    `frequencies[id]` rows hold it; `spell(id)` is the n-gram.
    """

    ids: Numbers
    counts: NDArray[np.float32]
    rows: Numbers
    frequencies: Ints
    spell: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Every token as a number, `_END` after each text; `row_of[i]` is the row of token i."""

    words: Numbers
    row_of: Numbers
    spelling: list[str]

    @classmethod
    def of(cls, rows: Iterable[Iterable[list[str]]]) -> "Corpus":
        """From the tokens of each text of each row."""
        numbers = _Numbering()
        words, lengths = array("i"), array("i")
        for texts in rows:
            before = len(words)
            for text in texts:
                words.extend(map(numbers.__getitem__, text))
                words.append(_END)
            lengths.append(len(words) - before)
        row_of = np.repeat(np.arange(len(lengths), dtype=np.int32), np.frombuffer(lengths, dtype=np.int32))
        return cls(np.frombuffer(words, dtype=np.int32), row_of, list(numbers))

    def longest(self) -> int:
        """Tokens of the longest n-grams: 3 where most are characters of scripts without spaces, else 2."""
        unspaced = np.fromiter(map(is_unspaced, self.spelling), dtype=bool, count=len(self.spelling))
        words = self.words[self.words != _END]
        return 3 if np.count_nonzero(unspaced[words]) * 2 > len(words) else 2

    def ngrams(self, longest: int, min_rows: int) -> Counted:
        """N-grams of one to `longest` tokens that are found in at least `min_rows` rows."""
        levels, parts = [], []
        codes, shorter = self.words.astype(np.int64), None
        for length in range(1, longest + 1):
            level, counted = _level(codes, self, shorter, length, min_rows)
            levels.append(level)
            parts.append(counted)
            codes, shorter = _longer(self, level), level
        starts = np.cumsum([0, *(len(counted.frequencies) for counted in parts)])

        def spell(number: int) -> str:
            place = int(np.searchsorted(starts, number, "right")) - 1
            return levels[place].spell(number - int(starts[place]), self)

        rows = np.concatenate([counted.rows for counted in parts])
        order = np.argsort(rows, kind="stable")
        return Counted(
            np.concatenate([counted.ids + np.int32(start) for counted, start in zip(parts, starts, strict=False)])[
                order
            ],
            np.concatenate([counted.counts for counted in parts])[order],
            rows[order],
            np.concatenate([counted.frequencies for counted in parts]),
            spell,
        )

    def pieces(self, min_rows: int) -> Counted:
        """Pieces of words that are found in at least `min_rows` rows."""
        numbers = _Numbering()
        found, lengths = array("i"), array("i")
        for word in self.spelling:
            before = len(found)
            found.extend(map(numbers.__getitem__, pieces(word, *PIECE_SIZES)))
            lengths.append(len(found) - before)
        many = np.frombuffer(lengths, dtype=np.int32).astype(np.int64)
        starts = np.cumsum(many) - many
        places = np.flatnonzero(self.words != _END)
        words = self.words[places]
        taken = np.repeat(starts[words] - (np.cumsum(many[words]) - many[words]), many[words])
        taken += np.arange(len(taken))
        numbered = np.frombuffer(found, dtype=np.int32)[taken]
        counted, kept = _counted(numbered, np.repeat(self.row_of[places], many[words]), len(numbers), min_rows)
        spelling = list(numbers)
        known = np.flatnonzero(kept != _END)
        return Counted(*counted, lambda number: spelling[known[number]])


@dataclass(frozen=True, slots=True)
class _Level:
    """The frequent n-grams of one length: `at[i]` is the one that begins at token i, or `_END`."""

    at: Numbers
    codes: Ints
    """What each n-gram was counted as: (the n-gram without its last word) * words + last word."""
    shorter: "_Level | None"
    length: int

    def spell(self, number: int, corpus: Corpus) -> str:
        first, last = divmod(int(self.codes[number]), len(corpus.spelling) + 1)
        word = corpus.spelling[last]
        return word if self.shorter is None else f"{self.shorter.spell(first, corpus)} {word}"


def _level(
    codes: Ints, corpus: Corpus, shorter: _Level | None, length: int, min_rows: int
) -> tuple[_Level, "_Frequent"]:
    """The frequent ones among `codes` (`_END` = none) that begin at each token, numbered and counted."""
    places = np.flatnonzero(codes != _END)
    known, numbers = np.unique(codes[places], return_inverse=True)
    counted, kept = _counted(numbers, corpus.row_of[places], len(known), min_rows)
    at = np.full(len(codes), _END, dtype=np.int32)
    at[places] = kept[numbers] if len(places) else _END
    return _Level(at, known[kept != _END], shorter, length), counted


def _longer(corpus: Corpus, level: _Level) -> Ints:
    """Codes of the n-grams one word longer than those of `level`, both of whose parts are frequent."""
    codes = np.full(len(corpus.words), _END, dtype=np.int64)
    first, second, word = (
        level.at[: -level.length],
        level.at[1:][: len(codes) - level.length],
        corpus.words[level.length :],
    )
    usable = (first != _END) & (second != _END) & (word != _END)
    codes[: -level.length][usable] = first[usable].astype(np.int64) * (len(corpus.spelling) + 1) + word[usable]
    return codes


class _Frequent(NamedTuple):
    ids: Numbers
    counts: NDArray[np.float32]
    rows: Numbers
    frequencies: Ints


def _counted(numbers: NDArray[np.int32] | Ints, rows: Numbers, width: int, min_rows: int) -> tuple[_Frequent, Numbers]:
    """Those of the `numbers` below `width` that occur in `min_rows` rows, and the new number of each or `_END`."""
    often = np.bincount(numbers, minlength=width) >= min_rows
    taken = often[numbers] if len(numbers) else np.zeros(0, dtype=bool)
    keys, counts = np.unique(rows[taken].astype(np.int64) * max(width, 1) + numbers[taken], return_counts=True)
    ids, held_by = keys % max(width, 1), keys // max(width, 1)
    frequencies = np.bincount(ids, minlength=width)
    frequent = frequencies >= min_rows
    renumbered = np.where(frequent, np.cumsum(frequent) - 1, _END).astype(np.int32)
    kept = frequent[ids] if len(ids) else np.zeros(0, dtype=bool)
    return (
        _Frequent(
            renumbered[ids[kept]],
            counts[kept].astype(np.float32),
            held_by[kept].astype(np.int32),
            frequencies[frequent].astype(np.int64),
        ),
        renumbered,
    )
