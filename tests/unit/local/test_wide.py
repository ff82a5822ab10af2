"""The data phase's states in the emulator: a distributed map in JSONata, and a job on a real Spark of this machine."""

import io
import json
import zipfile
from typing import Any

import pytest

from tests.unit.local.conftest import Toy
from tests.unit.local.test_jobs import finish, log, start

MAIN = """
import json, os, sys
import pyarrow as pa
from pyspark.sql import SparkSession
from helper import NAME

spark = SparkSession.builder.appName(NAME).getOrCreate()

def work(batches):
    from helper import twice
    for batch in batches:
        yield pa.record_batch({"n": pa.array([twice(n) for n in batch.column(0).to_pylist()])})

if sys.argv[1] == "fail":
    sys.exit("the toy broke")
rows = spark.range(0, 4, numPartitions=4).mapInArrow(work, "n long").collect()
print(json.dumps({"rows": sorted(row.n for row in rows), "given": os.environ["GIVEN"], "do": sys.argv[1]}))
spark.stop()
"""


def test_each_item_of_a_distributed_map_is_worked_on_and_knows_its_number(aws: Any) -> None:
    ended = finish(aws, start(aws, "wide", parts=5, function="toy-function"))
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    assert json.loads(ended["output"]) == {"kept": 5, "results": [["function", "index", "tenant"]] * 5}


def test_one_failing_item_fails_a_distributed_map(aws: Any) -> None:
    ended = finish(aws, start(aws, "wide", parts=2, function="no-such-function"))
    assert ended["status"] == "FAILED"


def code_of_a_job(aws: Any, bucket: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("python/helper.py", "NAME = 'toy'\n\ndef twice(n):\n    return 2 * n\n")
    aws("s3").put_object(Bucket=bucket, Key="code/main.py", Body=MAIN.encode())
    aws("s3").put_object(Bucket=bucket, Key="code/code.zip", Body=packed.getvalue())


@pytest.mark.spark
def test_a_spark_job_runs_with_its_code_and_environment(toy: Toy, aws: Any) -> None:
    code_of_a_job(aws, toy.cloud["data_bucket"])
    arn = start(aws, "spark", bucket=toy.cloud["data_bucket"], do="it")
    ended = finish(aws, arn, 120)
    assert ended["status"] == "SUCCEEDED", log(toy, arn)
    assert json.loads(ended["output"])["JobRun"]["State"] == "SUCCESS"
    said = log(toy, arn)
    assert json.loads(said[said.index('{"rows"') :].splitlines()[0]) == {
        "rows": [0, 2, 4, 6],
        "given": "yes",
        "do": "it",
    }


@pytest.mark.spark
def test_a_failed_spark_job_fails_the_task(toy: Toy, aws: Any) -> None:
    code_of_a_job(aws, toy.cloud["data_bucket"])
    arn = start(aws, "spark", bucket=toy.cloud["data_bucket"], do="fail")
    ended = finish(aws, arn, 120)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(ended["cause"])["JobRun"]["State"] == "FAILED"
    assert "the toy broke" in log(toy, arn)
