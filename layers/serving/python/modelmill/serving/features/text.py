"""Texts in, counts of known n-grams out. Weights (idf, normalisation) are in the ONNX graph."""

from collections import Counter
from collections.abc import Mapping
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelmill.core.model.tokens import MAX_TOKENS, ngrams, tokens
from modelmill.serving.features.cells import Arrays, Columns, Reader, rows_of


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


class TextFeatures:
    """N-gram counts of one or more text columns over a fixed vocabulary."""

    def __init__(self, preprocess: Mapping[str, Any]) -> None:
        self.field_names: tuple[str, ...] = tuple(preprocess["inputs"])
        self._shortest, self._longest = preprocess["ngrams"]
        self._limit = int(preprocess.get("max_tokens", MAX_TOKENS))
        self.text = Reader(preprocess).read
        self._ids = {ngram: index + 1 for index, ngram in enumerate(preprocess["vocabulary"])}

    def sparse(self, columns: Columns) -> Sparse:
        """Known n-grams of each row with their counts; n-grams do not cross from one column into the next."""
        find = self._ids.get
        ids: list[int] = []
        counts: list[int] = []
        lengths: list[int] = []
        for row in rows_of(columns, self.field_names):
            grams = chain.from_iterable(
                ngrams(tokens(self.text(value, name), self._limit), self._shortest, self._longest)
                for name, value in zip(self.field_names, row, strict=True)
            )
            found = Counter(filter(None, map(find, grams)))
            ids.extend(found)
            counts.extend(found.values())
            lengths.append(len(found))
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
        return Sparse(np.array(ids, dtype=np.int64), np.array(counts, dtype=np.float32), offsets)

    def arrays(self, columns: Columns) -> Arrays:
        """`ids` int64 [B, L] and `counts` float32 [B, L]."""
        return self.sparse(columns).padded()
