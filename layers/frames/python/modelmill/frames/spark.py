"""Spark as the engine of the data phase: the run as JSON on the command line in; what `finish` reads in the relay, out.

Spark's part is to run, to try again and to carry examples from parts to buckets; what is done with rows are the steps
of `sharded`, which functions run too. This file is the entry point of the job on EMR Serverless.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession

from modelmill.aws.records.mask_key import pseudonyms
from modelmill.aws.relay import S3Relay
from modelmill.core.data.mask import Pseudonyms
from modelmill.core.errors import Rejected
from modelmill.core.names import scratch_prefix
from modelmill.frames import sharded
from modelmill.frames.parts import list_parts
from modelmill.frames.relay import Relay
from modelmill.frames.steps import WHOLE, Grain
from modelmill.frames.work import leave_parts, take_work

Rows = Iterator[tuple[int, int, bytes]]
SCHEMA = "bucket int, part int, payload binary"
ARROW = pa.schema([("bucket", pa.int32()), ("part", pa.int32()), ("payload", pa.binary())])
_ROWS_AT_ONCE = "4"
"""Rows in one batch between Spark and Python: a row has some megabytes."""


def over_pieces(spark: SparkSession, pieces: int, work: Callable[[int], Rows], partitions: int = 0) -> DataFrame:
    """Run `work` on every number below `pieces`, each in a task of its own unless there are fewer `partitions`."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for piece in batch.column(0).to_pylist():
                for bucket, part, payload in work(piece):
                    yield pa.RecordBatch.from_pylist([{"bucket": bucket, "part": part, "payload": payload}], ARROW)

    return spark.range(0, pieces, numPartitions=partitions or max(1, pieces)).mapInArrow(run, SCHEMA)


def prepare_on(
    spark: SparkSession, relay: Relay, secret: Callable[[], Pseudonyms], partitions: int = 0, grain: Grain = WHOLE
) -> None:
    """All steps up to `finish`, over the work that the relay has; a refusal is left there too.

    `secret` gives the tenant's pseudonyms where they are needed, so that its key travels with no task. `partitions` is
    how many tasks a step has, by default one for each part or bucket.
    """
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", _ROWS_AT_ONCE)
    # Otherwise Spark puts small partitions together after a shuffle, and buckets would be made one after the other.
    spark.conf.set("spark.sql.adaptive.enabled", "false")
    try:
        _prepare_on(spark, relay, secret, partitions, grain)
    except Rejected as cause:
        sharded.refuse(relay, cause)


def _prepare_on(
    spark: SparkSession, relay: Relay, secret: Callable[[], Pseudonyms], partitions: int, grain: Grain
) -> None:
    parts = list_parts(take_work(relay).files, grain.part)
    leave_parts(relay, parts)
    over_pieces(spark, len(parts), partial(_scan, relay), partitions).count()
    buckets = sharded.decide_all(relay, grain)
    transformed = over_pieces(spark, len(parts), partial(_transform, relay, secret), partitions)
    examples = transformed.repartition(partitions or buckets, "bucket").sortWithinPartitions("bucket", "part")
    examples = examples.persist(StorageLevel.DISK_ONLY)
    examples.count()
    sharded.settle_all(relay)
    examples.mapInArrow(partial(_write, relay), SCHEMA).count()
    written = {row.bucket for row in examples.select("bucket").distinct().collect()}
    for bucket in sorted(set(range(buckets)) - written):
        with tempfile.TemporaryDirectory() as folder:
            sharded.write_examples(relay, bucket, iter(()), Path(folder))
    examples.unpersist()


def _scan(relay: Relay, index: int) -> Rows:
    with tempfile.TemporaryDirectory() as folder:
        sharded.scan_one(relay, index, Path(folder))
    return iter(())


def _transform(relay: Relay, secret: Callable[[], Pseudonyms], index: int) -> Rows:
    with tempfile.TemporaryDirectory() as folder:
        transformed = sharded.transform_one(relay, index, secret(), Path(folder))
        if transformed is None:
            return
        path, done = transformed
        with path.open("rb") as file:
            for bucket, (start, end) in enumerate(zip(done.offsets, done.offsets[1:], strict=False)):
                if end > start:
                    yield bucket, index, file.read(end - start)


def _write(relay: Relay, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Every bucket of a partition; its rows come one after the other, in the order of the parts."""
    rows = (
        (row["bucket"], row["payload"]) for batch in batches for row in batch.select(["bucket", "payload"]).to_pylist()
    )
    for bucket, group in groupby(rows, itemgetter(0)):
        with tempfile.TemporaryDirectory() as folder:
            sharded.write_examples(relay, bucket, (payload for _, payload in group), Path(folder))
    yield pa.RecordBatch.from_pylist([], ARROW)


def main(argument: str) -> None:
    """The job: `argument` is `{"run_id", "tenant", "dataset", "upload"}`."""
    run = json.loads(argument)
    prefix = scratch_prefix(run["tenant"], run["dataset"], run["run_id"])
    relay = S3Relay(os.environ["MODELMILL_DATA_BUCKET"], prefix)
    spark = SparkSession.builder.appName(f"modelmill {run['run_id']}").getOrCreate()
    try:
        prepare_on(spark, relay, partial(pseudonyms, run["tenant"]))
    finally:
        spark.stop()


if __name__ == "__main__":
    main(sys.argv[1])
