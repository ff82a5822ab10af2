"""The steps of the data phase on one part or one bucket: what any engine runs, one after the other or side by side.

scan (a part) → decide → transform (a part) → settle → write (a bucket) → finish
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.mask import Pseudonyms
from modelmill.core.model.recipe import Clean
from modelmill.frames.attached import Attached
from modelmill.frames.bucket import Bucketed, line, no_rows, write_bucket, write_lines
from modelmill.frames.clean import clean
from modelmill.frames.decide import SMALLEST_BUCKET, Decisions
from modelmill.frames.mask import mask_bad
from modelmill.frames.media.rows import MediaReading
from modelmill.frames.numbered import ROW, Numbered, Spill
from modelmill.frames.parts import SMALLEST, Part, read_part
from modelmill.frames.scan import Scan, scan
from modelmill.frames.scratch import write_examples
from modelmill.frames.settle import Settled
from modelmill.frames.tally import Tallier, Tally
from modelmill.frames.transform import CODE, CODES, USED, transform


@dataclass(frozen=True, slots=True)
class Grain:
    """The smallest part of an upload and the smallest bucket of rows, in bytes: another grain makes another version."""

    part: int = SMALLEST
    bucket: int = SMALLEST_BUCKET


WHOLE = Grain()
"""Of every upload but those of tests."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder for what one step leaves to the next."""

    folder: Path

    def spill(self, index: int) -> Spill:
        """Clean rows of a part."""
        return Spill(self.folder, index)

    def piece(self, index: int) -> Path:
        """The bytes of a part while it is read."""
        return self.folder / f"{index:05}.piece"

    def examples(self, index: int) -> Path:
        """Examples of a part."""
        return self.folder / f"{index:05}.examples"

    def quarantine(self, index: int) -> Path:
        """Lines of the rows of a part that cannot be used, by number."""
        return self.folder / f"part-{index:05}.jsonl"

    def left_out(self, bucket: int) -> Path:
        """Lines of the rows of a bucket that are left out, by number."""
        return self.folder / f"bucket-{bucket:05}.jsonl"


def scan_part(index: int, part: Part, settings: Clean, scratch: Scratch, attached: Attached | None = None) -> Scan:
    """Read and clean a part, and keep its rows in `scratch`."""
    reading = read_part(part, scratch.piece(index), attached.media if attached else None)
    scanned = scan(index, reading, settings, scratch.spill(index))
    if attached and isinstance(reading, MediaReading):
        attached.facts = attached.facts.merge(reading.facts)
    scratch.piece(index).unlink(missing_ok=True)
    return scanned


def clean_part(index: int, part: Part, settings: Clean, scratch: Scratch) -> None:
    """Read and clean a part again, where the rows that `scan_part` kept are not at hand."""
    spill, rows = scratch.spill(index), Numbered(read_part(part, scratch.piece(index)))
    for numbers, raw in rows:
        if len(numbers):
            spill.add(clean(raw, settings)[0], numbers)
        spill.add_bad(rows.bad())
    spill.add_bad(rows.bad())
    spill.close()
    scratch.piece(index).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class PartDone:
    """A part's tally, and where in its file of examples those of each bucket lie."""

    tally: Tally
    offsets: list[int]


def transform_part(
    index: int,
    part: Part,
    decisions: Decisions,
    pseudonyms: Pseudonyms,
    scratch: Scratch,
    *,
    first_row: int,
    attached: Attached | None = None,
) -> PartDone:
    """Turn the kept rows of a part into examples by bucket; rows that cannot be used go to the quarantine.

    `first_row` is how many rows come before the part.
    """
    spill = scratch.spill(index)
    tallier = Tallier(decisions)
    bad = list(spill.bad())
    masked = mask_bad(bad, decisions.masks.settings, pseudonyms)
    lines = [line(row.number + first_row, row.reason, row.raw) for row in masked]
    examples = []
    for batch in spill.batches():
        done = transform(
            batch,
            decisions,
            pseudonyms,
            first_row=first_row,
            given=part.file.split,
            load=attached.load if attached else None,
        )
        tallier.add(done)
        is_used = pc.equal(done.examples.column(CODE), USED)
        if not pc.all(is_used).as_py():
            lines += _unused(done.examples, done.shown)
        examples.append(done.examples.filter(is_used).drop_columns([CODE]))
    write_lines(scratch.quarantine(index), lines)
    offsets = write_examples(examples, decisions.buckets, scratch.examples(index))
    return PartDone(tallier.done([(row.reason, row.raw) for row in bad]), offsets)


def _unused(examples: pa.RecordBatch, shown: pa.RecordBatch) -> list[dict[str, Any]]:
    names = {code: reason for reason, code in CODES.items()}
    out = pc.not_equal(examples.column(CODE), USED)
    codes, numbers = examples.column(CODE).filter(out).to_pylist(), examples.column(ROW).filter(out).to_pylist()
    rows = shown.filter(out).to_pylist()
    return [line(row, names[code], raw) for row, code, raw in zip(numbers, codes, rows, strict=True)]


def write_bucket_of(
    bucket: int,
    found: Iterable[pa.Table | None],
    decisions: Decisions,
    settled: Settled,
    *,
    scratch: Scratch,
    folder: Path,
) -> Bucketed:
    """Put together what was found of a bucket's examples in each part, in their order; store its rows in `folder`."""
    tables = [table for table in found if table is not None] or [no_rows(decisions)]
    rows, left_out = pa.concat_tables(tables), scratch.left_out(bucket)
    return write_bucket(rows, bucket, decisions, settled, folder=folder, quarantine=left_out)
