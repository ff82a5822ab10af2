"""Texts of the training rows in, the n-grams worth knowing out.

N-grams are counted as integers, level by level: an n-gram can be frequent only if both (n-1)-grams in it are
(the Apriori rule; Agrawal and Srikant 1994), so rare ones are never built as strings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modelmill.core.errors import Rejected
from modelmill.core.model.tokens import is_unspaced, tokens

Ints = NDArray[np.int64]
_END = -1


def longest_ngram(texts: Sequence[str]) -> int:
    """3 where most tokens are single characters of a script without spaces, else 2; judged on the first 1,000 texts."""
    sample = [token for text in texts[:1_000] for token in tokens(text)]
    return 3 if sum(map(is_unspaced, sample)) > len(sample) / 2 else 2


def build_vocabulary(rows: Sequence[Sequence[str]], *, longest: int, min_rows: int, size: int) -> list[str]:
    """The `size` n-grams found in most rows (ties by spelling), each in at least `min_rows`; a row is its texts.

    Raises Rejected (`no_words`) when no n-gram is that frequent.
    """
    corpus = _Corpus.of(rows)
    levels = [_count(corpus, corpus.words, min_rows)]
    while len(levels) < longest:
        levels.append(_next_level(corpus, levels[-1], min_rows))
    frequencies = np.concatenate([level.frequencies for level in levels])
    if not len(frequencies):
        raise Rejected("no_words", f"no word is found in {min_rows} training rows", hint="upload more or longer texts")
    threshold = 0 if len(frequencies) <= size else np.partition(frequencies, -size)[-size]
    known = [
        (-int(level.frequencies[index]), level.spell(int(index), corpus))
        for level in levels
        for index in np.flatnonzero(level.frequencies >= threshold)
    ]
    return [ngram for _, ngram in sorted(known)[:size]]


@dataclass(slots=True)
class _Corpus:
    """Every token as a number, `_END` after each text; `row_of[i]` is the row of token i."""

    words: Ints
    row_of: Ints
    spelling: list[str]

    @classmethod
    def of(cls, rows: Sequence[Sequence[str]]) -> "_Corpus":
        numbers: dict[str, int] = {}
        words: list[int] = []
        lengths: list[int] = []
        for texts in rows:
            before = len(words)
            for text in texts:
                words.extend(numbers.setdefault(token, len(numbers)) for token in tokens(text))
                words.append(_END)
            lengths.append(len(words) - before)
        row_of = np.repeat(np.arange(len(rows), dtype=np.int64), lengths)
        return cls(np.array(words, dtype=np.int64), row_of, list(numbers))


@dataclass(slots=True)
class _Level:
    """The frequent n-grams of one length: `at[i]` is the one that begins at token i, or `_END`."""

    at: Ints
    frequencies: Ints
    last: Ints
    """Number of each n-gram's last word."""
    prefix: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Index in `shorter` of each n-gram without its last word."""
    shorter: "_Level | None" = None
    length: int = 1

    def spell(self, index: int, corpus: _Corpus) -> str:
        word = corpus.spelling[self.last[index]]
        return word if self.shorter is None else f"{self.shorter.spell(int(self.prefix[index]), corpus)} {word}"


def _count(corpus: _Corpus, codes: Ints, min_rows: int) -> _Level:
    """The frequent ones among `codes` (`_END` = none), numbered; their codes are kept in `last`."""
    places = np.flatnonzero(codes != _END)
    known, number = np.unique(codes[places], return_inverse=True)
    in_row = np.unique(corpus.row_of[places] * max(len(known), 1) + number)
    frequencies = np.bincount(in_row % max(len(known), 1), minlength=len(known)).astype(np.int64)
    kept = frequencies >= min_rows
    renumbered = np.where(kept, np.cumsum(kept) - 1, _END)
    at = np.full(len(codes), _END, dtype=np.int64)
    at[places] = renumbered[number]
    return _Level(at, frequencies[kept], known[kept])


def _next_level(corpus: _Corpus, shorter: _Level, min_rows: int) -> _Level:
    """N-grams one word longer than those of `shorter`."""
    length = shorter.length
    size = len(corpus.spelling) + 1
    codes = np.full(len(corpus.words), _END, dtype=np.int64)
    first, second, word = shorter.at[:-length], shorter.at[1:][: len(codes) - length], corpus.words[length:]
    usable = (first != _END) & (second != _END) & (word != _END)
    codes[:-length] = np.where(usable, first * size + word, _END)
    found = _count(corpus, codes, min_rows)
    return _Level(found.at, found.frequencies, found.last % size, found.last // size, shorter, length + 1)
