"""Where things lie: a run in, its relay out; prepared data in, a version in the bucket and on record out."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from modelmill.aws import objects
from modelmill.aws.records import datasets
from modelmill.aws.relay import S3Relay
from modelmill.aws.settings import settings
from modelmill.core.model.recipe import Recipe
from modelmill.core.names import scratch_prefix
from modelmill.frames.describe import Run, describe, reply
from modelmill.frames.finish import Prepared
from modelmill.frames.write import write

_COPIES = 8


def relay_of(run: Run) -> S3Relay:
    """What the steps of this run leave to each other."""
    return S3Relay(settings().data_bucket, scratch_prefix(run.tenant, run.dataset, run.run_id))


def store(prepared: Prepared, recipe: Recipe, run: Run, target: Path, rows: str | None = None) -> dict[str, Any]:
    """Store the version and the specification; the reply. Rows are files in `target`, or objects under `rows`.

    Raises Rejected, see `describe`.
    """
    bucket, models = settings().data_bucket, settings().models_bucket
    version, spec = describe(prepared, recipe, run)
    # The record is written last: a version that is on record is complete, and its rows never change.
    if datasets.get_version(run.tenant, run.dataset, version.version) is None:
        write(prepared, version, target)
        for path in sorted(target.iterdir()):
            objects.upload(bucket, version.prefix + path.name, path)
        if rows is not None:
            _copy_rows(bucket, rows, version.prefix)
    datasets.add_version(run.tenant, version)
    objects.put(models, f"{run.prefix}spec.json", spec.model_dump_json().encode(), "application/json")
    return reply(version, spec, models)


def _copy_rows(bucket: str, source: str, target: str) -> None:
    def copy(key: str) -> None:
        objects.copy((bucket, key), (bucket, target + key.removeprefix(source)))

    with ThreadPoolExecutor(_COPIES) as pool:
        list(pool.map(copy, objects.keys(bucket, source)))
