"""One data set through data phase and jobs, as the pipeline runs them: files in; scores, CPU seconds, bytes, out.

`python -m tests.perf.model_run prepare NAME DATA FOLDER` makes the version; `… train NAME DATA FOLDER` runs every
candidate's job, selection and packaging on it, against an S3 in memory, and prints what they cost as JSON. Two
processes, so that the memory of the first is not taken for that of the second.
"""

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from modelmill.core.data.split import SPLITS, files_of
from modelmill.core.model.recipe import parse_recipe
from modelmill.core.model.select import CandidateResult, leaderboard, select
from modelmill.core.model.spec import RunSpec
from tests.perf.data_phase import PSEUDONYMS
from tests.perf.model_sets import SETS, DataSet

_RUN = "20261124T000000-0000000000"
_ALONE = 200
"""Test rows that are answered one by one."""


def prepare(entry: DataSet, data: Path, folder: Path) -> None:
    """Put the version's files and spec.json into `folder`."""
    from modelmill.frames.describe import Run, describe
    from modelmill.frames.prepare import prepare as prepared
    from modelmill.frames.write import write

    recipe = parse_recipe(entry.recipe)
    files = [(data / source, name + (".gz" if source.endswith(".gz") else "")) for name, source in entry.files.items()]
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        made = prepared(files, recipe, PSEUDONYMS, Path(work), folder)
        version, spec = describe(made, recipe, Run(_RUN, "default", "bench", {}))
        write(made, version, folder)
    (folder / "spec.json").write_text(spec.model_dump_json(), encoding="utf-8")


def train(folder: Path) -> dict[str, Any]:
    """Every job of the run; its costs and the package's scores."""
    spec = RunSpec.model_validate_json((folder / "spec.json").read_bytes())
    from modelmill.aws import objects
    from modelmill.training.__main__ import main

    _put(folder, spec)
    run = f"s3://models/default/runs/{_RUN}/"
    cpu: dict[str, float] = {}

    def job(stage: str, candidate: str) -> None:
        started = time.process_time()
        code = main(["--stage", stage, "--run", run, "--candidate", candidate])
        cpu[f"{stage} {candidate}"] = round(time.process_time() - started, 1)
        if code:
            sys.stderr.write(f"{stage} {candidate} failed\n")

    results = []
    for candidate in spec.candidates:
        job("train", candidate.name)
        key = f"default/runs/{_RUN}/candidates/{candidate.name}/result.json"
        if any(objects.keys("models", key)):
            results.append(CandidateResult.model_validate_json(objects.get("models", key)))
    board = leaderboard(results)
    job("package", select(board).candidate)
    package = json.loads(objects.get("models", f"default/runs/{_RUN}/package.json"))
    return {
        "task": spec.task,
        "splits": {split: _rows(folder, split, spec) for split in SPLITS},
        "board": [result.model_dump(exclude_none=True) for result in board],
        "candidate": package["candidate"],
        "metrics": {name: value for name, value in package["metrics"].items() if isinstance(value, dict | float)},
        "optimise": package["optimise"],
        "cpu": cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **_served(package["digest"], folder, spec),
    }


def _put(folder: Path, spec: RunSpec) -> None:
    import boto3

    from modelmill.aws import objects

    for bucket in ("data", "models"):
        boto3.client("s3").create_bucket(Bucket=bucket)
    boto3.client("dynamodb").create_table(
        TableName="registry",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    )
    names = [*(file for split in SPLITS for file in files_of(split, spec.files)), "profile.bin"]
    for name in names:
        objects.put("data", spec.data_prefix + name, (folder / name).read_bytes())
    objects.put("models", f"default/runs/{_RUN}/spec.json", spec.model_dump_json().encode())


def _rows(folder: Path, split: str, spec: RunSpec) -> int:
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(folder / name).num_rows for name in files_of(split, spec.files))


def _served(digest: str, folder: Path, spec: RunSpec) -> dict[str, Any]:
    """Bytes of the package, and milliseconds of one row in this process: features and session."""
    from modelmill.aws import objects
    from modelmill.serving.model import Model
    from modelmill.training.rows import read

    place = Path(tempfile.mkdtemp(dir=folder.parent))
    prefix = f"default/packages/{digest}/"
    for key in objects.keys("models", prefix):
        objects.download("models", key, place / key.removeprefix(prefix))
    model, rows = Model(place), read(folder, "test", spec)
    times = []
    for row in range(min(_ALONE, len(rows))):
        columns = rows.part(row, row + 1)
        started = time.perf_counter()
        model.scores(columns)
        times.append((time.perf_counter() - started) * 1_000)
    sizes = {path.name: path.stat().st_size for path in place.iterdir()}
    return {
        "model_bytes": sizes["model.onnx"] + sizes["preprocess.json"],
        "row_ms": round(statistics.median(times), 3),
    }


def main() -> None:
    """The command line of this module's docstring."""
    action, name, data, folder = sys.argv[1:]
    entry = next(entry for entry in SETS if entry.name == name)
    place = Path(folder)
    if action == "prepare":
        place.mkdir(parents=True, exist_ok=True)
        prepare(entry, Path(data), place)
        return
    os.environ |= {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "MODELMILL_TABLE": "registry",
        "MODELMILL_DATA_BUCKET": "data",
        "MODELMILL_MODELS_BUCKET": "models",
        "MODELMILL_ML_ROOT": tempfile.mkdtemp(dir=place.parent),
    }
    from moto import mock_aws

    with mock_aws():
        sys.stdout.write(json.dumps(train(place)))


if __name__ == "__main__":
    main()
