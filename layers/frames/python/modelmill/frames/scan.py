"""Scanning: the rows of a part in; what must be known of the whole file before any row can be judged, out.

`scan` reads and cleans a part; scans are merged in the order of the parts.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import pyarrow as pa

from modelmill.core.data.version import DataWarning
from modelmill.core.limits import MIB
from modelmill.core.model.recipe import Clean
from modelmill.frames.clean import Actions, clean
from modelmill.frames.digests import Words, mixed
from modelmill.frames.numbered import Integers, Numbered, Spill
from modelmill.frames.profile import Profile
from modelmill.frames.read.reading import Reading

SAMPLE_ROWS = 20_000
SAMPLE_BYTES = 32 * MIB


@dataclass(frozen=True, slots=True)
class Sample:
    """Some rows of clean strings with their numbers, those of the lowest `ranks`: hashes of where a row stands."""

    table: pa.Table = field(default_factory=lambda: pa.table({}))
    numbers: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    ranks: Words = field(default_factory=lambda: np.empty(0, np.uint64))

    def merge(self, other: "Sample", rows: int = 0) -> "Sample":
        """The lowest ranks of both, in the order of the rows; `rows` come before those of the other."""
        if not len(self.numbers):
            return Sample(other.table, other.numbers + rows, other.ranks)
        table = pa.concat_tables([self.table, other.table], promote_options="default")
        numbers = np.concatenate([self.numbers, other.numbers + rows])
        return Sample(table, numbers, np.concatenate([self.ranks, other.ranks])).lowest()

    def lowest(self) -> "Sample":
        """As many of the rows, those of the lowest ranks, as fit the limits."""
        row_bytes = max(1.0, self.table.nbytes / max(1, self.table.num_rows))
        limit = max(100, min(SAMPLE_ROWS, int(SAMPLE_BYTES / row_bytes)))
        if len(self.ranks) <= limit:
            return self
        chosen = np.sort(np.argpartition(self.ranks, limit)[:limit])
        return Sample(self.table.take(pa.array(chosen)).combine_chunks(), self.numbers[chosen], self.ranks[chosen])


@dataclass(frozen=True, slots=True)
class Scan:
    """What is known of some parts. `rows` are those of each part, readable or not; `size` is of cells, in bytes."""

    rows: list[int]
    profile: Profile
    sample: Sample
    actions: Actions
    warnings: list[DataWarning]
    size: int

    @property
    def read(self) -> int:
        """Rows of all parts."""
        return sum(self.rows)

    @property
    def firsts(self) -> list[int]:
        """How many rows come before each part."""
        return [0, *accumulate(self.rows)][:-1]

    def merge(self, other: "Scan") -> "Scan":
        """What is known of the parts of this one and the other, which come after."""
        told = [warning for warning in other.warnings if warning not in self.warnings]
        return Scan(
            [*self.rows, *other.rows],
            self.profile.merge(other.profile) if self.profile.rows else other.profile,
            self.sample.merge(other.sample, self.read) if len(other.sample.numbers) else self.sample,
            self.actions + other.actions,
            [*self.warnings, *told],
            self.size + other.size,
        )


def scan(index: int, reading: Reading, settings: Clean, spill: Spill) -> Scan:
    """Read, clean and keep the part of that index; raises what `file.read` raises."""
    profile, sample, actions, size = Profile(0, {}), Sample(), Counter[tuple[str, str]](), 0
    rows = Numbered(reading)
    for numbers, raw in rows:
        if not len(numbers):
            spill.add_bad(rows.bad())
            continue
        batch, done = clean(raw, settings)
        actions.update(done)
        seen = Profile.of(batch)
        profile, size = profile.merge(seen) if profile.rows else seen, size + batch.nbytes
        ranks = mixed(np.full(len(numbers), index, np.uint64), numbers.astype(np.uint64))
        sample = sample.merge(Sample(pa.Table.from_batches([batch]), numbers, ranks).lowest())
        spill.add(batch, numbers)
        spill.add_bad(rows.bad())
    spill.add_bad(rows.bad())
    spill.close()
    return Scan([rows.read], profile, sample, actions, reading.warnings, size)
