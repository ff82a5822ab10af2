"""Tallies: transformed rows of a part in; what must be counted over all parts before rows can be split, out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import datasketches as ds
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.accounts import Reason
from modelmill.core.data.mask_rules import Kind
from modelmill.core.model.task import TAG_SEPARATOR
from modelmill.frames.decide import Decisions
from modelmill.frames.digests import Content, Words
from modelmill.frames.numbered import Integers
from modelmill.frames.transform import CODE, CODES, FALL, GIVEN, IDENTITY, NO_TIME, USED, Transformed

EXACT = 4_096
"""Up to so many different rows of a class are known one by one, and split to the row; larger classes by chance."""
ANY = ""
"""The one class of rows that are not split by class."""
_HLL_LG_K = 14


@dataclass(frozen=True, slots=True)
class ClassTally:
    """The different `falls` of a class and how often each comes; None once there are more than EXACT."""

    falls: Words | None
    counts: Integers | None

    @classmethod
    def of(cls, falls: Words) -> "ClassTally":
        """Of all rows of a class in some part."""
        values, counts = np.unique(falls, return_counts=True)
        return cls(values, counts.astype(np.int64)) if len(values) <= EXACT else cls(None, None)

    def merge(self, other: "ClassTally") -> "ClassTally":
        """Of the rows of both."""
        if self.falls is None or self.counts is None or other.falls is None or other.counts is None:
            return ClassTally(None, None)
        values, places = np.unique(np.concatenate([self.falls, other.falls]), return_inverse=True)
        if len(values) > EXACT:
            return ClassTally(None, None)
        weights = np.concatenate([self.counts, other.counts])
        return ClassTally(values, np.bincount(places, weights=weights).astype(np.int64))


@dataclass(slots=True)
class Tally:
    """Counts of some parts. `content` holds a digest for each part, of all cells of its rows."""

    content: list[str] = field(default_factory=list)
    reasons: Counter[Reason] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    """Class → usable rows; ANY for measures and tags."""
    tags: Counter[str] = field(default_factory=Counter)
    """Tag → usable rows that have it."""
    sides: Counter[int] = field(default_factory=Counter)
    """Usable rows of each given split (see transform.GIVEN)."""
    classes: dict[str, ClassTally] = field(default_factory=dict)
    identities: Any = field(default_factory=lambda: ds.hll_sketch(_HLL_LG_K, ds.HLL_8))
    """Rows of tables: which of them differ."""
    times: Any = field(default_factory=lambda: ds.tdigest_double(400))
    untimed: int = 0
    """Rows whose time cannot be read."""
    masked: dict[str, Counter[Kind]] = field(default_factory=dict)
    stripped: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def usable(self) -> int:
        """Rows that are used unless they repeat another, or are the rarest of their class."""
        return self.labels.total()

    def merge(self, other: "Tally") -> "Tally":
        """Counts of the parts of both."""
        union = ds.hll_union(_HLL_LG_K)
        times = ds.tdigest_double(400)
        classes = dict(self.classes)
        for name, tally in other.classes.items():
            classes[name] = classes[name].merge(tally) if name in classes else tally
        masked = {name: Counter(kinds) for name, kinds in self.masked.items()}
        for name, kinds in other.masked.items():
            masked.setdefault(name, Counter()).update(kinds)
        for each in (self, other):
            union.update(each.identities)
            if not each.times.is_empty():
                times.merge(each.times)
        return Tally(
            self.content + other.content,
            self.reasons + other.reasons,
            self.labels + other.labels,
            self.tags + other.tags,
            self.sides + other.sides,
            classes,
            union.get_result(ds.HLL_8),
            times,
            self.untimed + other.untimed,
            masked,
            self.stripped + other.stripped,
        )


class Tallier:
    """Counts the rows of one part, batch by batch."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self._tally = Tally()
        self._falls: dict[str, list[Words]] = {}
        self._content = Content()

    def add(self, done: Transformed) -> None:
        """Count a batch."""
        self._content.add(done.content)
        tally = self._tally
        for name, kinds in done.masked.items():
            tally.masked.setdefault(name, Counter()).update(kinds)
        tally.stripped.update(done.stripped)
        codes = done.examples.column(CODE).to_numpy()
        names = {code: reason for reason, code in CODES.items()}
        for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
            if code != USED:
                tally.reasons[names[int(code)]] += int(count)
        self._add_usable(done.examples.filter(pc.equal(done.examples.column(CODE), USED)))

    def _add_usable(self, rows: pa.RecordBatch) -> None:
        if not rows.num_rows:
            return
        tally, decisions = self._tally, self._decisions
        falls = rows.column(FALL).to_numpy()
        given = rows.column(GIVEN).to_numpy()
        tally.sides.update({int(side): int(n) for side, n in zip(*np.unique(given, return_counts=True), strict=True)})
        codes, labels = coded(rows.column(decisions.target), decisions)
        tally.labels.update(dict(zip(labels, np.bincount(codes, minlength=len(labels)).tolist(), strict=True)))
        if decisions.answers == "multilabel":
            cells = rows.column(decisions.target).to_pylist()
            tally.tags.update(tag for cell in cells for tag in cell.split(TAG_SEPARATOR) if tag)
        if decisions.is_tabular:
            for word in rows.column(IDENTITY).to_numpy().tolist():
                tally.identities.update(word)
        if decisions.by == "time":
            tally.times.update(falls.astype(np.float64))
            tally.untimed += int(np.count_nonzero(falls == NO_TIME))
        placed = given <= 1
        if decisions.by in ("group", "random", "time") or not decisions.has_classes:
            codes, labels = np.zeros_like(codes), [ANY]
        for place, name in enumerate(labels):
            self._falls.setdefault(name, []).append(falls[placed & (codes == place)])

    def done(self, bad: Sequence[tuple[Reason, str]]) -> Tally:
        """The tally of the part, of which these rows could not be read."""
        for reason, raw in bad:
            self._tally.reasons[reason] += 1
            self._content.add_text(f"{reason}\0{raw}")
        self._tally.content = [self._content.hexdigest()]
        self._tally.classes = {name: ClassTally.of(np.concatenate(parts)) for name, parts in self._falls.items()}
        return self._tally


def coded(target: pa.Array, decisions: Decisions) -> tuple[Integers, list[str]]:
    """A code for each row's class, and the classes in order; one class for measures and tags."""
    if not decisions.has_classes:
        return np.zeros(len(target), np.int64), [ANY]
    coded = target.dictionary_encode()
    labels = coded.dictionary.to_pylist()
    order = sorted(range(len(labels)), key=labels.__getitem__)
    codes = np.argsort(order)[coded.indices.to_numpy(zero_copy_only=False)].astype(np.int64)
    return codes, [labels[place] for place in order]
