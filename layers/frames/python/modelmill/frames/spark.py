"""Spark as the engine of the data phase: a number of pieces and the work on one in; the work done on all of them.

Spark's part is to run, to try again and to carry rows between pieces; what is done with rows is the library's, the same
functions that a single process or a Lambda function calls.
"""

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

Rows = Iterator[tuple[int, bytes]]
SCHEMA = "bucket int, payload binary"
ARROW = pa.schema([("bucket", pa.int32()), ("payload", pa.binary())])


def over_pieces(spark: SparkSession, pieces: int, work: Callable[[int], Rows]) -> DataFrame:
    """Run `work` on every number below `pieces`, each in a task of its own: rows (bucket, payload) of all it yields."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for piece in batch.column(0).to_pylist():
                for bucket, payload in work(piece):
                    yield pa.RecordBatch.from_pylist([{"bucket": bucket, "payload": payload}], ARROW)

    return spark.range(0, pieces, numPartitions=max(1, pieces)).mapInArrow(run, SCHEMA)
