"""The steps of the data phase on one part or one bucket: what any engine runs, one after the other or side by side.

scan (a part) → decide → transform (a part) → settle → write (a bucket) → finish
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.mask import Pseudonyms
from modelmill.core.model.recipe import Clean, Mask
from modelmill.frames.bucket import Bucketed, line, write_bucket, write_lines
from modelmill.frames.decide import Decisions
from modelmill.frames.mask import mask_bad
from modelmill.frames.numbered import ROW, Spill
from modelmill.frames.parts import Part, read_part
from modelmill.frames.scan import Scan, scan
from modelmill.frames.scratch import read_examples, write_examples
from modelmill.frames.settle import Settled
from modelmill.frames.tally import Tallier, Tally
from modelmill.frames.transform import CODE, CODES, USED, Media, transform


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder for what one step leaves to the next."""

    folder: Path

    def spill(self, index: int) -> Spill:
        """Clean rows of a part."""
        return Spill(self.folder, index)

    def examples(self, index: int) -> Path:
        """Examples of a part."""
        return self.folder / f"{index:05}.examples"

    def quarantine(self, index: int) -> Path:
        """Lines of the rows of a part that cannot be used, by number."""
        return self.folder / f"part-{index:05}.jsonl"

    def left_out(self, bucket: int) -> Path:
        """Lines of the rows of a bucket that are left out, by number."""
        return self.folder / f"bucket-{bucket:05}.jsonl"


def scan_part(index: int, part: Part, settings: Clean, scratch: Scratch) -> Scan:
    """Read and clean a part, and keep its rows in `scratch`."""
    return scan(index, read_part(part, scratch.folder), settings, scratch.spill(index))


@dataclass(frozen=True, slots=True)
class PartDone:
    """A part's tally, and where in its file of examples those of each bucket lie."""

    tally: Tally
    offsets: list[int]


def transform_part(
    index: int,
    part: Part,
    first_row: int,
    decisions: Decisions,
    settings: Mask,
    pseudonyms: Pseudonyms,
    scratch: Scratch,
    media: Media | None = None,
) -> PartDone:
    """Turn the kept rows of a part into examples by bucket; rows that cannot be used go to the quarantine."""
    spill = scratch.spill(index)
    tallier = Tallier(decisions)
    bad = list(spill.bad())
    masked = mask_bad(bad, settings, pseudonyms)
    lines = [line(row.number + first_row, row.reason, row.raw) for row in masked]
    examples = []
    for batch in spill.batches():
        done = transform(batch, decisions, pseudonyms, first_row=first_row, given=part.file.split, media=media)
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
    parts: Sequence[tuple[Path, Sequence[int]]],
    decisions: Decisions,
    settled: Settled,
    scratch: Scratch,
    folder: Path,
) -> Bucketed:
    """Put together a bucket's examples of all parts (file and offsets of each), and store its rows in `folder`."""
    found = [read_examples(path, offsets, bucket) for path, offsets in parts]
    tables = [table for table in found if table is not None]
    if not tables:
        return Bucketed()
    return write_bucket(pa.concat_tables(tables), bucket, decisions, settled, folder, scratch.left_out(bucket))
