"""Rows of media: class folders, or a table that points to files, in; a reading whose cells stand for files out.

Every file is decoded once. One that is damaged or missing costs its row, not the upload.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count

import numpy as np
import pyarrow as pa

from modelmill.core.data.accounts import Reason
from modelmill.frames.media.facts import MediaFacts
from modelmill.frames.media.files import Media
from modelmill.frames.media.inspect import Checked, check_all
from modelmill.frames.media.pointers import Resolver, pointers
from modelmill.frames.numbered import Integers, Numbered
from modelmill.frames.read.names import Split
from modelmill.frames.read.reading import RAW_CHARACTERS, BadRow, Reading


@dataclass(slots=True, kw_only=True)
class MediaReading(Reading):
    """A reading; `facts` are complete once its batches are exhausted."""

    facts: MediaFacts


def read_media(media: Media, split: Split | None = None) -> MediaReading:
    """Rows of class folders, in the order of the files' names: a media cell and the label; of one split, or all."""
    files = {file.name: file.label for file in media.files if split in (None, file.split)}
    reading = MediaReading(facts=MediaFacts(media.kind))
    reading.batches = _of_folders(media, files, reading)
    return reading


def _of_folders(media: Media, files: Mapping[str, str | None], reading: MediaReading) -> Iterator[pa.RecordBatch]:
    numbers = count(1)
    for chunk in check_all(media.folder, media.kind, files):
        good = []
        for checked, number in zip(chunk, numbers, strict=False):
            _count(reading.facts, checked)
            if checked.cell:
                good.append(checked)
            else:
                reading.bad.append(BadRow(number, "bad_media", checked.name))
        yield pa.record_batch(
            {
                media.kind: pa.array([checked.cell for checked in good], pa.large_string()),
                "label": pa.array([files[checked.name] for checked in good], pa.large_string()),
            }
        )


def link(media: Media, reading: Reading, table: str = "") -> MediaReading:
    """A reading of a table in which the cells that point to files stand for these.

    Which columns point is told by the first batch (see `pointers`). `table` is the table's name: files beside it come
    first. Cells without a value stay so.
    """
    linked = MediaReading(warnings=reading.warnings, facts=MediaFacts(media.kind))
    linked.batches = _Linker(media, Resolver(media, table), linked).link(reading, table)
    return linked


class _Linker:
    """Puts media cells in place of the cells that point to files, batch by batch."""

    def __init__(self, media: Media, resolver: Resolver, linked: MediaReading) -> None:
        self._media, self._resolver, self._linked = media, resolver, linked
        self._columns: tuple[str, ...] | None = None
        # Name of a file → its cell, or None if it cannot be used: many rows may point to one file.
        self._known: dict[str, str | None] = {}

    def link(self, reading: Reading, table: str) -> Iterator[pa.RecordBatch]:
        numbered = Numbered(reading)
        for numbers, batch in numbered:
            self._linked.bad.extend(numbered.bad())
            if not len(numbers):
                continue
            if self._columns is None:
                self._columns = pointers(self._media, batch, table)
            yield self._batch(numbers, batch, self._columns)
        self._linked.bad.extend(numbered.bad())

    def _batch(self, numbers: Integers, batch: pa.RecordBatch, columns: tuple[str, ...]) -> pa.RecordBatch:
        lost: dict[int, BadRow] = {}
        for column in columns:
            cells = batch.column(column).to_pylist()
            names = [cell and self._resolver.find(cell) for cell in cells]
            self._look_at(name for name in names if name)
            found = [self._known[name] if name else None for name in names]
            for row, (cell, name, one) in enumerate(zip(cells, names, found, strict=True)):
                if cell and not one and row not in lost:
                    reason: Reason = "bad_media" if name else "missing_file"
                    lost[row] = BadRow(int(numbers[row]), reason, (name or cell)[:RAW_CHARACTERS])
            place = batch.schema.get_field_index(column)
            batch = batch.set_column(place, column, pa.array(found, pa.large_string()))
        self._linked.bad.extend(lost.values())
        kept = np.ones(batch.num_rows, np.bool_)
        kept[list(lost)] = False
        return batch.filter(pa.array(kept)) if lost else batch

    def _look_at(self, names: Iterable[str]) -> None:
        new = dict.fromkeys(name for name in names if name not in self._known)
        for checked in chain.from_iterable(check_all(self._media.folder, self._media.kind, new)):
            _count(self._linked.facts, checked)
            self._known[checked.name] = checked.cell


def _count(facts: MediaFacts, checked: Checked) -> None:
    if checked.cell and checked.seen:
        facts.add(checked.name, checked.cell.partition(":")[0], checked.seen)
    else:
        facts.refuse(checked.name, checked.why)
