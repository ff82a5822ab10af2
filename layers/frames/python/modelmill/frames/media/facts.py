"""Facts of many images or sound files: each file that was seen in; counts, spreads and fingerprints that merge out."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from modelmill.core.data.version import DataWarning
from modelmill.frames.media.files import Kind
from modelmill.frames.media.seen import Seen

_EXAMPLES = 5
_STEPS = 8
"""Bins of a spread per doubling: what it says is within 5 %."""
_NOTED = {
    "animated": "are animated: a model sees their first picture",
    "located": "say in their metadata where they were taken, which is stored with them",
    "blank": "show one colour only",
    "silent": "are silent",
    "misnamed": "are of another format than their names say",
}


class Print(NamedTuple):
    """What finds a file's near twins: its path, blake2b-128 of its bytes, and its fingerprint (32 bytes, or none)."""

    name: str
    digest: str
    print: bytes


@dataclass(slots=True)
class Spread:
    """How positive numbers are spread: exact ends, and bins of equal ratio between them."""

    least: float = math.inf
    most: float = -math.inf
    bins: Counter[int] = field(default_factory=Counter)

    def add(self, number: float) -> None:
        """Count one more."""
        self.least, self.most = min(self.least, number), max(self.most, number)
        self.bins[round(math.log2(number) * _STEPS)] += 1

    def merge(self, other: "Spread") -> "Spread":
        """The spread of both."""
        return Spread(min(self.least, other.least), max(self.most, other.most), self.bins + other.bins)

    def quantile(self, share: float) -> float:
        """The number below which such a share of the numbers lies, within 5 %."""
        left = share * self.bins.total()
        for place in sorted(self.bins):
            left -= self.bins[place]
            if left <= 0:
                return min(max(2 ** (place / _STEPS), self.least), self.most)
        return self.most

    def as_json(self) -> dict[str, Any]:
        """Ends, median and the bins by their middle."""
        return {
            "least": self.least,
            "median": self.quantile(0.5),
            "most": self.most,
            "bins": [[round(2 ** (place / _STEPS), 4), self.bins[place]] for place in sorted(self.bins)],
        }


@dataclass(slots=True)
class MediaFacts:
    """Facts of the files of one kind, the same in any order of them; `words` and `spreads` have what `Seen` has."""

    kind: Kind
    count: int = 0
    words: dict[str, Counter[str]] = field(default_factory=dict)
    spreads: dict[str, Spread] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    refused: dict[str, list[str]] = field(default_factory=dict)
    """Why files cannot be used → their names."""
    prints: list[Print] = field(default_factory=list)

    def add(self, name: str, digest: str, seen: Seen) -> None:
        """Count a file that can be used."""
        self.count += 1
        for word, value in seen.words.items():
            self.words.setdefault(word, Counter())[value] += 1
        for measure, number in seen.measures.items():
            self.spreads.setdefault(measure, Spread()).add(number)
        self.notes.update(seen.notes)
        self.prints.append(Print(name, digest, seen.print))

    def refuse(self, name: str, why: str) -> None:
        """Count a file that cannot."""
        self.refused.setdefault(why, []).append(name)

    def merge(self, other: "MediaFacts") -> "MediaFacts":
        """The facts of both. Each file may be in one of them only."""
        return MediaFacts(
            self.kind,
            self.count + other.count,
            _joined(self.words, other.words),
            {
                name: self.spreads.get(name, Spread()).merge(other.spreads.get(name, Spread()))
                for name in self.spreads | other.spreads
            },
            self.notes + other.notes,
            {why: self.refused.get(why, []) + other.refused.get(why, []) for why in self.refused | other.refused},
            sorted(self.prints + other.prints),
        )

    def as_json(self) -> dict[str, Any]:
        """What profile.json says of the files; fingerprints are left out."""
        return {
            "kind": self.kind,
            "count": self.count,
            **{word: dict(sorted(counts.items())) for word, counts in sorted(self.words.items())},
            **{measure: spread.as_json() for measure, spread in sorted(self.spreads.items())},
            "notes": dict(sorted(self.notes.items())),
            "refused": {why: len(names) for why, names in sorted(self.refused.items())},
        }

    def warnings(self) -> list[DataWarning]:
        """What a person should know of the files."""
        found = [
            DataWarning(code="bad_media", message=f"{len(names)} files cannot be used ({why}): {_some(names)}")
            for why, names in sorted(self.refused.items())
        ]
        noted = [
            DataWarning(code=f"media_{note}", message=f"{self.notes[note]} of {self.count} files {words}")
            for note, words in _NOTED.items()
            if self.notes[note]
        ]
        return found + noted


def _joined(first: Mapping[str, Counter[str]], second: Mapping[str, Counter[str]]) -> dict[str, Counter[str]]:
    return {name: first.get(name, Counter()) + second.get(name, Counter()) for name in {**first, **second}}


def _some(names: list[str]) -> str:
    return ", ".join(sorted(names)[:_EXAMPLES]) + (", …" if len(names) > _EXAMPLES else "")
