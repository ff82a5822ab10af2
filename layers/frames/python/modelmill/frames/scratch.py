"""Scratch files between two steps: examples of a part in; one file, cut into a range of bytes for each bucket, out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from modelmill.frames.bucket import bucket_of
from modelmill.frames.transform import KEY


def write_examples(batches: Sequence[pa.RecordBatch], buckets: int, path: Path) -> list[int]:
    """Store the examples of a part by bucket; bucket b lies between offsets b and b + 1."""
    offsets = [0]
    with path.open("wb") as file:
        if batches:
            table = pa.Table.from_batches(batches)
            places = bucket_of(table.column(KEY).to_numpy(), buckets)
            order = np.argsort(places, kind="stable")
            starts = np.searchsorted(places[order], np.arange(buckets + 1))
            for bucket in range(buckets):
                chosen = order[starts[bucket] : starts[bucket + 1]]
                if len(chosen):
                    _write(table if buckets == 1 else table.take(pa.array(chosen)), file)
                offsets.append(file.tell())
    return offsets if batches else [0] * (buckets + 1)


def _write(table: pa.Table, file: "object") -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(file, table.schema, options=options) as writer:
        writer.write_table(table)


def read_examples(path: Path, offsets: Sequence[int], bucket: int) -> pa.Table | None:
    """The examples of one bucket in a part's file, or None if there are none."""
    start, end = offsets[bucket], offsets[bucket + 1]
    if start == end:
        return None
    with path.open("rb") as file:
        file.seek(start)
        return pa.ipc.open_stream(file.read(end - start)).read_all()
