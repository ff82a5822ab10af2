"""Texts in, ids of pieces of words out, by the tokenizer that an encoder's weights were made with.

The tokenizer is Hugging Face's library and its own JSON, kept whole in preprocess.json. Several columns are read one
after the other with the end mark between them; what is longer than the encoder reads is cut where it is longest.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelmill.core.errors import ModelmillError
from modelmill.serving.features.cells import Arrays, Columns, Reader, rows_of

_SLICE = 256
"""Rows that are cut into pieces at a time: the library's answer is many times larger than the ids."""


class Pieces(NamedTuple):
    """Rows of ids, one after the other: row i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def padded(self, pad: int) -> NDArray[np.int64]:
        """int64 [B, L], `pad` where a row has no more pieces."""
        lengths = np.diff(self.offsets)
        taken = np.arange(int(lengths.max())) < lengths[:, None]
        padded = np.full(taken.shape, pad, dtype=np.int64)
        padded[taken] = self.ids
        return padded


class WordpieceFeatures:
    """Pieces of one or more text columns, between the tokenizer's marks of a text's begin and end."""

    def __init__(self, preprocess: Mapping[str, Any]) -> None:
        self.field_names: tuple[str, ...] = tuple(preprocess["inputs"])
        self._length, self._pad = int(preprocess["max_length"]), int(preprocess["pad"])
        self._read = Reader(preprocess).read
        self._tokenizer = tokenizer_of(preprocess["tokenizer"])
        self._start, self._end = self._tokenizer.encode("").ids

    def pieces(self, columns: Columns) -> Pieces:
        """The ids of each row: begin, then for each column that is not empty its pieces and end."""
        rows = rows_of(columns, self.field_names)
        ids: list[int] = []
        lengths: list[int] = []
        for start in range(0, len(rows), _SLICE):
            for row in self._cut(rows[start : start + _SLICE]):
                ids.extend(row)
                lengths.append(len(row))
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
        return Pieces(np.array(ids, dtype=np.int32), offsets)

    def _cut(self, rows: Sequence[tuple[object, ...]]) -> list[list[int]]:
        width = len(self.field_names)
        texts = [self._read(value, name) for row in rows for value, name in zip(row, self.field_names, strict=True)]
        found = [part.ids for part in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        return [self._row(found[start : start + width]) for start in range(0, len(found), width)]

    def _row(self, parts: list[list[int]]) -> list[int]:
        parts = [part for part in parts if part] or [[]]
        share = _share([len(part) for part in parts], max(self._length - 1 - len(parts), 0))
        ids = [self._start]
        for part in parts:
            ids += [*part[:share], self._end]
        return ids[: self._length]

    def arrays(self, columns: Columns) -> Arrays:
        """`ids` int64 [B, L]."""
        return {"ids": self.pieces(columns).padded(self._pad)}


def _share(lengths: Sequence[int], room: int) -> int:
    """The most pieces that each part may have so that all fit: short parts leave their room to long ones."""
    for taken, length in enumerate(sorted(lengths)):
        share = room // (len(lengths) - taken)
        if length >= share:
            return share
        room -= length
    return max(lengths)


def tokenizer_of(document: str) -> Any:
    """The tokenizers.Tokenizer of its JSON; raises ModelmillError (`unusable_model`) where the library is missing."""
    # A row is a text or two, and training has its own processes: threads of the library would only be in their way.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        from tokenizers import Tokenizer
    except ImportError:
        text = "this model reads pieces of words, and the library `tokenizers` is not installed here"
        raise ModelmillError("unusable_model", text, status=409, hint="install the extra `serving`") from None
    tokenizer = Tokenizer.from_str(document)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def unknown_id(document: str) -> int | None:
    """The id of what stands for text that the vocabulary cannot spell; None for one that spells everything."""
    model = json.loads(document)["model"]
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    token = model.get("unk_token")
    found: int | None = tokenizer_of(document).token_to_id(token) if token else None
    return found
