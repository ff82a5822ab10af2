"""The token rules: a text in, its tokens and n-grams out. Training and serving share this one implementation.

Text is put into Unicode NFKC and lower case. A run of letters and digits is one token. Scripts that write no
spaces (Han, kana, Hangul, Thai, Lao, Khmer, Burmese) and emoji give one token per character, so that n-grams of
them stand for words. Everything else separates.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice

MAX_TOKENS = 4_096
"""Tokens of one text that a new model reads; what follows is cut. A model keeps its own number in preprocess.json."""

_USUAL_LENGTH = 12
_LONGEST_TOKEN = 40
"""Characters of a token that are looked at in pieces."""

_UNSPACED = (
    "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # kana, Han
    "\uac00-\ud7a3\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Hangul, Thai and Lao, Burmese, Khmer
    "\u2600-\u27bf\U0001f300-\U0001faff"  # symbols and emoji
)
# Vowel signs and accents are no letters to `re`, yet stand inside words (Hebrew, Arabic, the Indic scripts).
_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
_LETTERS = rf"[^\W_{_UNSPACED}]"
_TOKEN = re.compile(rf"[{_UNSPACED}]|{_LETTERS}+(?:[{_MARKS}]+{_LETTERS}*)*")
_UNSPACED_CHARACTER = re.compile(rf"[{_UNSPACED}]")


def tokens(text: str, limit: int = MAX_TOKENS) -> list[str]:
    """The first `limit` tokens of `text`, in order."""
    text = unicodedata.normalize("NFKC", text).lower()
    if len(text) > limit * _USUAL_LENGTH:  # a long text is not read to its end
        return [found[0] for found in islice(_TOKEN.finditer(text), limit)]
    return _TOKEN.findall(text)[:limit]


def pieces(token: str, shortest: int, longest: int) -> list[str]:
    """Runs of `shortest` to `longest` characters of `<token>` that are not all of it; a long token's beginning alone.

    They are what words of one stem have in common, and what a word never seen has in common with those that were.
    """
    marked = f"<{token[:_LONGEST_TOKEN]}>"
    return [
        marked[start : start + size]
        for size in range(shortest, min(longest, len(marked) - 1) + 1)
        for start in range(len(marked) - size + 1)
    ]


def ngrams(words: Sequence[str], shortest: int, longest: int) -> Iterator[str]:
    """Every run of `shortest` to `longest` adjacent tokens, joined by one space; shorter runs first."""
    for size in range(shortest, longest + 1):
        if size == 1:
            yield from words
        else:
            yield from map(" ".join, zip(*(words[start:] for start in range(size)), strict=False))


def is_unspaced(token: str) -> bool:
    """True for a token of a script that writes no spaces."""
    return len(token) == 1 and _UNSPACED_CHARACTER.match(token) is not None
