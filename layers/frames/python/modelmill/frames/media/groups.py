"""Groups in file names, such as a speaker's: paths and labels in; the places of names that may tell a group out.

Recordings of one speaker, or photographs of one session, on both sides of a split make a test easier than life.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

_TOKENS = re.compile(r"[^\W\d_]+|\d+")
_LOOKED_AT = 20_000
_FEWEST_VALUES, _MOST_VALUES = 3, 1_000
_FILES_PER_VALUE = 5
_FILLED = 0.8
_PEOPLE = {"speaker", "spk", "subject", "subj", "sub", "patient", "person", "actor", "user", "session", "id"}
"""Words before a number that is a group although numbers have no gaps."""
_EVERYWHERE = 0.5
"""Of the classes a group must be found in so many, on average: a speaker says all words, a word has one class."""


@dataclass(frozen=True, slots=True)
class NameGroup:
    """A place of names that may tell a group: its number, what it holds, and the group of each path."""

    place: int
    values: list[str]
    groups: list[str]
    """As many as there are paths."""


def name_groups(paths: Sequence[str], labels: Sequence[str | None]) -> list[NameGroup]:
    """Places in names of one pattern (7_jackson_32.wav) that take few values, most of which come with most classes.

    Empty if names have no common pattern. Numbers without gaps are no groups, but after a word such as
    speaker.
    """
    if not paths:
        return []
    stems = [_TOKENS.findall(PurePosixPath(path).stem) for path in paths]
    width, common = Counter(map(len, stems)).most_common(1)[0]
    if width < 2 or common < 0.95 * len(stems):
        return []
    step = max(1, len(stems) // _LOOKED_AT)
    looked_at = [place for place in range(0, len(stems), step) if len(stems[place]) == width]
    found = []
    for place in range(width):
        tokens = [stems[path][place] for path in looked_at]
        before = {stems[path][place - 1].lower() for path in looked_at} if place else {""}
        if _is_group(tokens, before, [labels[path] for path in looked_at]):
            groups = [stem[place] if len(stem) == width else "" for stem in stems]
            found.append(NameGroup(place, sorted(set(groups) - {""}), groups))
    return found


def _is_group(tokens: list[str], before: set[str], labels: Sequence[str | None]) -> bool:
    """`before` are the words that stand right before the tokens."""
    counts = Counter(tokens)
    if not _FEWEST_VALUES <= len(counts) <= _MOST_VALUES or len(tokens) < _FILES_PER_VALUE * len(counts):
        return False
    if _counts_up(counts) and not before <= _PEOPLE:
        return False
    # A value that comes n times can be with n classes at most.
    classes = len(set(labels))
    reached = len(set(zip(tokens, labels, strict=True)))
    return reached >= _EVERYWHERE * sum(min(classes, count) for count in counts.values())


def _counts_up(counts: Counter[str]) -> bool:
    """True for numbers with hardly a gap: they number the files."""
    if not all(token.isdigit() for token in counts):
        return False
    numbers = [int(token) for token in counts]
    return len(numbers) >= _FILLED * (max(numbers) - min(numbers) + 1)
