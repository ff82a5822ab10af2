"""What is known of one image or sound file after it was decoded, or why it cannot be used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

GRID = 16
"""A fingerprint has 16 by 16 bits, each of which says whether something grows or falls from one place to the next."""
Bits = np.ndarray[Any, np.dtype[np.bool_]]


class BadMedia(Exception):
    """A file that is damaged, not what its name says, or beyond a limit. The text says why, in few words."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One file. `words` are counted by value (format, mode …), `measures` are numbers (width, seconds …)."""

    words: Mapping[str, str]
    measures: Mapping[str, float]
    notes: tuple[str, ...] = ()
    print: bytes = field(default=b"")
    """32 bytes, nearly the same for nearly the same content; empty if there is nothing to see or to hear."""


def packed(bits: Bits) -> bytes:
    """GRID by GRID bits as a fingerprint."""
    return np.packbits(bits).tobytes()
