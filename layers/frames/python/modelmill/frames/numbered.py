"""Rows with their numbers: what a reader gives in; batches with the number of each row, kept on disk, out."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from modelmill.frames.read.reading import BadRow, Reading

Integers = np.ndarray[Any, np.dtype[np.int64]]
ROW = "\x1frow"
"""Column of the rows' numbers. Names of the file's columns hold no control characters."""


class Numbered:
    """Iterates over batches with the numbers of their rows, from 1: those that could not be read have one too."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._ahead: set[int] = set()
        self._last = 0

    def __iter__(self) -> Iterator[tuple[Integers, pa.RecordBatch]]:
        """Numbers of rows, and the rows: none, where a reader only tells of bad ones."""
        for batch in self._reading.batches:
            yield self._numbers(batch.num_rows), batch

    def _numbers(self, count: int) -> Integers:
        """A reader tells of the bad rows among and before those of a batch before it gives the batch."""
        self._ahead |= {row.number for row in self._reading.bad if row.number > self._last}
        if not count:
            return np.empty(0, np.int64)
        bad = np.fromiter(self._ahead, np.int64, len(self._ahead))
        every = np.arange(self._last + 1, self._last + count + len(bad) + 1)
        numbers = np.setdiff1d(every, bad, assume_unique=True)[:count]
        self._last = int(numbers[-1])
        self._ahead = set(bad[bad > self._last].tolist())
        return numbers

    def bad(self) -> list[BadRow]:
        """The bad rows that were found since this was asked; they are taken out of the reading."""
        found, self._reading.bad[:] = list(self._reading.bad), []
        self._ahead |= {row.number for row in found if row.number > self._last}
        return found

    @property
    def read(self) -> int:
        """All rows so far, once the bad ones were asked for."""
        return max(self._last, max(self._ahead, default=0))


class Spill:
    """The clean rows of a part and those that could not be read, on disk between two passes."""

    def __init__(self, folder: Path, index: int) -> None:
        self._rows, self._bad = folder / f"{index:05}.clean", folder / f"{index:05}.bad"
        self._writer: Any = None
        self._schema: pa.Schema | None = None
        self._file: Any = None

    def add(self, batch: pa.RecordBatch, numbers: Integers) -> None:
        """Keep a batch; where its columns are others than those before, a new stream begins in the same file."""
        batch = batch.append_column(ROW, pa.array(numbers))
        if self._schema is None or self._schema != batch.schema:
            self.close()
            self._file = self._rows.open("ab")
            self._writer, self._schema = pa.ipc.new_stream(self._file, batch.schema), batch.schema
        self._writer.write_batch(batch)

    def add_bad(self, rows: Sequence[BadRow]) -> None:
        """Keep rows that could not be read."""
        if rows:
            with self._bad.open("a", encoding="utf-8", errors="replace") as file:
                file.writelines(json.dumps(asdict(row)) + "\n" for row in rows)

    def close(self) -> None:
        """Finish writing."""
        if self._writer is not None:
            self._writer.close()
            self._file.close()
            self._writer = self._schema = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """What was kept, each with a column ROW."""
        if not self._rows.exists():
            return
        size = self._rows.stat().st_size
        with pa.OSFile(str(self._rows)) as file:
            while file.tell() < size:
                with pa.ipc.open_stream(file) as stream:
                    yield from stream

    def bad(self) -> Iterator[BadRow]:
        """The rows that could not be read."""
        if self._bad.exists():
            with self._bad.open(encoding="utf-8") as file:
                for line in file:
                    yield BadRow(**json.loads(line))
