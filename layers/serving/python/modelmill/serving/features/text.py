"""Texts in, counts of known n-grams out. Weights (idf, normalisation) are in the ONNX graph."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelmill.core.model.tokens import MAX_TOKENS, ngrams, pieces, tokens
from modelmill.serving.features.cells import Arrays, Columns, Reader, rows_of

_KEPT_WORDS = 50_000
_KEPT_LENGTH = 40


class Sparse(NamedTuple):
    """Rows of n-gram counts, one after the other: row i is `ids[offsets[i]:offsets[i + 1]]`, ids from 1."""

    ids: NDArray[np.int64]
    counts: NDArray[np.float32]
    offsets: NDArray[np.int64]

    def padded(self) -> Arrays:
        """`ids` int64 [B, L] and `counts` float32 [B, L], 0 where a row has no more n-grams; L is at least 1."""
        lengths = np.diff(self.offsets)
        width = max(int(lengths.max(initial=0)), 1)
        taken = np.arange(width) < lengths[:, None]
        ids = np.zeros(taken.shape, dtype=np.int64)
        counts = np.zeros(taken.shape, dtype=np.float32)
        ids[taken] = self.ids
        counts[taken] = self.counts
        return {"ids": ids, "counts": counts}


class _PiecesOf(dict[str, tuple[int, ...]]):
    """The known pieces of each word that was met, by number: the same few thousand words make most texts."""

    def __init__(self, numbers: Mapping[str, int], sizes: Sequence[int]) -> None:
        super().__init__()
        self._find = numbers.get
        self._sizes = sizes

    def __missing__(self, word: str) -> tuple[int, ...]:
        found = tuple(filter(None, map(self._find, pieces(word, *self._sizes))))
        if len(word) <= _KEPT_LENGTH and len(self) < _KEPT_WORDS:
            self[word] = found
        return found


class TextFeatures:
    """Counts of n-grams of words, and of pieces of words if the model knows any, in one or more text columns.

    The n-grams of `vocabulary` are numbered from 1, and then those of `pieces`.
    """

    def __init__(self, preprocess: Mapping[str, Any]) -> None:
        self.field_names: tuple[str, ...] = tuple(preprocess["inputs"])
        self._shortest, self._longest = preprocess["ngrams"]
        self._limit = int(preprocess.get("max_tokens", MAX_TOKENS))
        self._read = Reader(preprocess).read
        vocabulary, known = preprocess["vocabulary"], preprocess.get("pieces", ())
        self._find = {ngram: number for number, ngram in enumerate(vocabulary, 1)}.get
        numbers = {piece: number for number, piece in enumerate(known, 1 + len(vocabulary))}
        self._pieces = _PiecesOf(numbers, preprocess["piece_sizes"]) if numbers else None

    def words(self, columns: Columns) -> Iterable[list[list[str]]]:
        """The tokens of each text of each row."""
        for row in rows_of(columns, self.field_names):
            yield [
                tokens(self._read(value, name), self._limit) for name, value in zip(self.field_names, row, strict=True)
            ]

    def sparse(self, columns: Columns) -> Sparse:
        """Known n-grams of each row with their counts; n-grams do not cross from one column into the next."""
        ids: list[int] = []
        counts: list[int] = []
        lengths: list[int] = [0]
        for texts in self.words(columns):
            found = Counter(chain.from_iterable(map(self._numbers, texts)))
            ids.extend(found)
            counts.extend(found.values())
            lengths.append(len(found))
        return Sparse(
            np.array(ids, dtype=np.int64), np.array(counts, dtype=np.float32), np.cumsum(lengths, dtype=np.int64)
        )

    def arrays(self, columns: Columns) -> Arrays:
        """`ids` int64 [B, L] and `counts` float32 [B, L]."""
        return self.sparse(columns).padded()

    def _numbers(self, words: list[str]) -> Iterable[int]:
        known = filter(None, map(self._find, ngrams(words, self._shortest, self._longest)))
        if self._pieces is None:
            return known
        return chain(known, chain.from_iterable(map(self._pieces.__getitem__, words)))
