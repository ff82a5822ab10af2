"""Files that stand, nearly, on both sides of a split: names and fingerprints of each side in; warnings out."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from modelmill.core.data.version import DataWarning
from modelmill.frames.media.facts import Print
from modelmill.frames.media.files import Kind
from modelmill.frames.media.near import NEAR, near_pairs

MANY_TWINS = 0.01
_FEWEST_GROUPS, _FILES_EACH, _ON_BOTH = 3, 5.0, 0.2
_WORD = re.compile(r"[^\W\d_]{2,}|\d+")
_KEPT_APART = "keep what belongs together on one side: give the files train and test folders that do"


def check_media(kind: Kind, train: Sequence[Print], test: Sequence[Print]) -> list[DataWarning]:
    """`media_on_both_sides` for files nearly the same, and for somebody (a speaker) whom the names tell of.

    All files of each side, or some ten thousand of them; takes a second for 20,000 and 5,000.
    """
    return [*_twins(kind, train, test), *_groups(train, test)]


def _twins(kind: Kind, train: Sequence[Print], test: Sequence[Print]) -> list[DataWarning]:
    found = near_pairs([each.print for each in train], [each.print for each in test], NEAR[kind])
    if not found.compared or found.count < MANY_TWINS * found.compared:
        return []
    ours, theirs = found.examples[0]
    text = (
        f"{found.count:,} of {found.compared:,} test files ({100 * found.count / found.compared:.1f} %) are nearly the"
        f" same as a training file, such as {_path(test[theirs])!r} and {_path(train[ours])!r}; leave copies out,"
        f" or {_KEPT_APART}"
    )
    return [DataWarning(code="media_on_both_sides", message=text)]


def _path(file: Print) -> str:
    """A file's path, cut to what fits into a sentence."""
    return file.name[-80:]


def _groups(train: Sequence[Print], test: Sequence[Print]) -> list[DataWarning]:
    """The word at one place of the names (`3_jackson_12.wav`) that groups files and is not their class."""
    ours, theirs = [_words(file) for file in train], [_words(file) for file in test]
    shapes = Counter(len(words) for words in (*ours, *theirs))
    if not shapes or not ours or not theirs:
        return []
    length, usual = shapes.most_common(1)[0]
    if usual < 0.9 * (len(ours) + len(theirs)):
        return []
    classes = [PurePosixPath(file.name).parent.name.lower() for file in train]
    for place in range(length):
        known = [(words[place], name) for words, name in zip(ours, classes, strict=True) if len(words) == length]
        groups = {word for word, _ in known}
        if not all(word.isalpha() for word in groups) or len(known) < _FILES_EACH * len(groups):
            continue
        # A word that goes with one class only is the class, or a part of its name.
        if len(groups) < _FEWEST_GROUPS or len(set(known)) < 2 * len(groups):
            continue
        both = sum(len(words) == length and words[place] in groups for words in theirs)
        if both >= _ON_BOTH * len(theirs):
            return [_said(sorted(groups), both, len(theirs))]
    return []


def _words(file: Print) -> list[str]:
    return [word.lower() for word in _WORD.findall(PurePosixPath(file.name).stem)]


def _said(groups: list[str], both: int, files: int) -> DataWarning:
    some = ", ".join(group[:40] for group in groups[:6]) + (", …" if len(groups) > 6 else "")
    text = (
        f"{both:,} of {files:,} test files ({100 * both / files:.0f} %) have a word in their names that training files"
        f" have too ({some}). If these are speakers or places, and new files come from others, {_KEPT_APART}"
    )
    return DataWarning(code="media_on_both_sides", message=text)
