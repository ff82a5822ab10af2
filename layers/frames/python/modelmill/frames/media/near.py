"""Near twins: fingerprints of both sides of a split in; how many of one side are nearly on the other, and some, out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelmill.frames.media.files import Kind
from modelmill.frames.media.seen import GRID

NEAR: dict[Kind, int] = {"image": 20, "audio": 38}
"""Bits of 256 in which the fingerprints of near twins differ at most."""
_TOLD = 64
"""Fewer set bits tell too little: pictures of one stroke on an even ground are alike, and none the other's copy."""
_MOST = 20_000
"""Fingerprints of a side that are compared, evenly chosen: 400 million pairs take some ten seconds."""
_BLOCK = 256
_EXAMPLES = 20
Words = np.ndarray[Any, np.dtype[np.uint64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class NearPairs:
    """How many of the `compared` fingerprints of the second side have a near twin on the first, and some such pairs."""

    count: int
    compared: int
    examples: list[tuple[int, int]]
    """Places in the first and in the second sequence, the nearest first."""


def near_pairs(first: Sequence[bytes], second: Sequence[bytes], distance: int) -> NearPairs:
    """Compare all of `second` with all of `first`, or as many as are bounded; empty fingerprints are like nothing."""
    ours, ours_at = _words(first)
    theirs, theirs_at = _words(second)
    if not len(ours) or not len(theirs):
        return NearPairs(0, len(theirs), [])
    found: list[tuple[int, int, int]] = []
    count = 0
    for start in range(0, len(theirs), _BLOCK):
        block = theirs[start : start + _BLOCK]
        apart = np.zeros((len(block), len(ours)), np.uint16)
        for word in range(ours.shape[1]):
            apart += np.bitwise_count(block[:, word, None] ^ ours[None, :, word])
        nearest = apart.argmin(axis=1)
        least = apart[np.arange(len(block)), nearest]
        near = np.flatnonzero(least <= distance)
        count += len(near)
        found += [(int(least[row]), int(ours_at[nearest[row]]), int(theirs_at[start + row])) for row in near]
        found = sorted(found)[:_EXAMPLES]
    return NearPairs(count, len(theirs), [(one, other) for _, one, other in found])


def _words(prints: Sequence[bytes]) -> tuple[Words, Integers]:
    """Fingerprints that tell something, as numbers of 64 bits, and their places."""
    size = GRID * GRID // 8
    at = np.array([place for place, one in enumerate(prints) if len(one) == size], np.int64)
    words = np.frombuffer(b"".join(prints[place] for place in at), np.uint64).reshape(-1, size // 8)
    telling = np.bitwise_count(words).sum(axis=1) >= _TOLD
    words, at = words[telling], at[telling]
    if len(at) > _MOST:
        chosen = np.linspace(0, len(at) - 1, _MOST).astype(np.int64)
        words, at = words[chosen], at[chosen]
    return words, at
