"""Rows that stand on both sides of a split: two tables of the same columns in; for each row its twin, if any, out.

Texts are near twins if their sets of shingles (runs of 5 letters, 3 of Chinese) have a Jaccard index of 0.8 or more.
They are found by MinHash and locality-sensitive hashing (Broder 1997) with one permutation hash per text (Li, Owen,
Zhang 2012; densified by Shrivastava and Li 2014), which looks at every shingle once, and then compared in full.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Integers = np.ndarray[Any, np.dtype[np.int64]]
Hashes = np.ndarray[Any, np.dtype[np.uint32]]
SIMILAR = 0.8
_BINS, _BANDS, _BAND = 64, 12, 5
"""A pair of Jaccard index 0.8 shares a band with probability 0.99, one of 0.3 with 0.03."""
_PROMISING = 0.7
_CANDIDATES = 4
"""Rows looked at per band: a template that thousands of rows share must not cost thousands of comparisons."""
_FEWEST_SHINGLES = 20
_CHARACTERS = 10_000_000
_SHORTEST_CUT = 300
_EMPTY = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Shingled:
    """Hashes of the shingles of some texts; those of text i lie between `starts[i]` and `starts[i + 1]`."""

    hashes: Hashes
    starts: Integers

    def of(self, text: int) -> Hashes:
        """The set of the hashes of one text, sorted."""
        return np.unique(self.hashes[self.starts[text] : self.starts[text + 1]])


def equal_rows(first: pa.Table, second: pa.Table) -> Integers:
    """For each row of `second` a row of `first` that has the same values in every column, else -1."""
    hashes = _row_hashes(pa.concat_tables([first, second]))
    ours, theirs = hashes[: first.num_rows], hashes[first.num_rows :]
    order = np.argsort(ours, kind="stable")
    place = np.searchsorted(ours, theirs, sorter=order)
    found = order[np.minimum(place, len(order) - 1)] if len(order) else np.zeros(len(theirs), np.int64)
    same = ours[found] == theirs if len(order) else np.zeros(len(theirs), np.bool_)
    return np.where(same, found, -1).astype(np.int64)


def repeated_share(rows: pa.Table) -> float:
    """Share of rows that repeat another one of the same table."""
    return 1 - len(np.unique(_row_hashes(rows))) / rows.num_rows if rows.num_rows else 0.0


def near_texts(first: pa.ChunkedArray, second: pa.ChunkedArray) -> Integers:
    """For each text of `second` a near twin in `first`, else -1. Long texts are compared by their beginnings."""
    texts = pa.chunked_array([*first.chunks, *second.chunks], pa.large_string())
    shingled = _shingles(texts)
    signatures = _signatures(shingled, len(texts))
    split, twins = len(first), np.full(len(second), -1, np.int64)
    enough = np.diff(shingled.starts) >= _FEWEST_SHINGLES
    lengths = np.asarray(pc.fill_null(pc.utf8_length(texts), 0))
    for test, train in _promising(signatures, enough, split):
        if min(lengths[test], lengths[train]) < SIMILAR * max(lengths[test], lengths[train]) - 1:
            continue
        mine, other = shingled.of(test), shingled.of(train)
        shared = len(np.intersect1d(mine, other, assume_unique=True))
        if shared >= SIMILAR * (len(mine) + len(other) - shared):
            twins[test - split] = train
    return twins


def _row_hashes(table: pa.Table) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """64 bits per row; equal rows have equal bits."""
    hashes = np.full(table.num_rows, 0x9E3779B97F4A7C15, np.uint64)
    for column in table.columns:
        encoded = pc.dictionary_encode(column.combine_chunks())
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64).astype(np.uint64)
        hashes = (hashes ^ codes) * np.uint64(0xBF58476D1CE4E5B9)
        hashes ^= hashes >> np.uint64(29)
    return hashes


def _shingles(texts: pa.ChunkedArray) -> Shingled:
    """Shingles of the letters and digits of texts, in lower case."""
    cut = max(_SHORTEST_CUT, _CHARACTERS // max(1, len(texts)))
    heads = pc.utf8_slice_codeunits(pc.utf8_lower(pc.fill_null(texts, "")), 0, cut)
    owners = np.repeat(np.arange(len(texts)), np.asarray(pc.utf8_length(heads)))
    letters = np.frombuffer("".join(heads.to_pylist()).encode("utf-32-le", "replace"), np.uint32)
    kept = _is_word()[np.minimum(letters, 0xFFFF)]
    letters, owners = letters[kept], owners[kept]
    width = 3 if len(letters) and float((letters >= 0x3000).mean()) > 0.3 else 5
    last = max(0, len(letters) - width + 1)
    hashes = np.zeros(last, np.uint32)
    for place in range(width):
        hashes = hashes * np.uint32(0x01000193) + letters[place : place + last]
    whole = owners[:last] == owners[width - 1 : width - 1 + last]
    return Shingled(_mixed(hashes[whole]), np.searchsorted(owners[:last][whole], np.arange(len(texts) + 1)))


def _is_word() -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which code points up to U+FFFF (which stands for all above) are neither white space nor punctuation."""
    word = np.ones(0x10000, np.bool_)
    for low, high in ((0, 0x30), (0x3A, 0x61), (0x7B, 0xC0), (0x2000, 0x2070), (0x3000, 0x3040), (0xFF00, 0xFF10)):
        word[low:high] = False
    return word


def _mixed(hashes: Hashes) -> Hashes:
    """Hashes whose bits all depend on all bits (the last step of MurmurHash3)."""
    for factor, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        hashes = (hashes ^ (hashes >> np.uint32(shift))) * np.uint32(factor)
    return hashes ^ (hashes >> np.uint32(16))


def _signatures(shingled: Shingled, texts: int) -> Hashes:
    """The least hash in each of 64 bins of a text's shingles; an empty bin borrows from the next one that is not."""
    owners = np.repeat(np.arange(texts), np.diff(shingled.starts))
    least = np.full(texts * _BINS, _EMPTY, np.uint32)
    np.minimum.at(least, owners * _BINS + (shingled.hashes & np.uint32(_BINS - 1)), shingled.hashes >> np.uint32(6))
    signatures = least.reshape(texts, _BINS)
    for _ in range(_BINS):
        empty = signatures == _EMPTY
        if not empty.any():
            break
        next_one = np.roll(signatures, -1, axis=1) + np.uint32(0x2545F491)
        borrowed = np.where(np.roll(empty, -1, axis=1), _EMPTY, next_one)
        signatures = np.where(empty, borrowed, signatures)
    return signatures


def _promising(signatures: Hashes, enough: np.ndarray[Any, np.dtype[np.bool_]], split: int) -> list[tuple[int, int]]:
    """Pairs (row after `split`, row before it) that share a band: for each row after it the one most like it."""
    ours, theirs = np.flatnonzero(enough[:split]), split + np.flatnonzero(enough[split:])
    pairs = []
    for band in range(_BANDS):
        part = signatures[:, band * _BAND : (band + 1) * _BAND].astype(np.uint64)
        keys = np.zeros(len(part), np.uint64)
        for column in part.T:
            keys = (keys ^ column) * np.uint64(0x9E3779B97F4A7C15)
            keys ^= keys >> np.uint64(31)
        order = ours[np.argsort(keys[ours], kind="stable")]
        low = np.searchsorted(keys[order], keys[theirs], "left")
        high = np.searchsorted(keys[order], keys[theirs], "right")
        for step in range(_CANDIDATES):
            some = low + step < high
            pairs.append(np.stack([theirs[some], order[low[some] + step]]))
    found = np.concatenate(pairs, axis=1)
    alike = (signatures[found[0]] == signatures[found[1]]).mean(axis=1)
    best = np.lexsort((found[1], -alike, found[0]))
    first = best[np.unique(found[0][best], return_index=True)[1]]
    return [(int(test), int(train)) for test, train in found[:, first[alike[first] >= _PROMISING]].T]
