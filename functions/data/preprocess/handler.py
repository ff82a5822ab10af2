"""Preprocess: an uploaded file in; a dataset version (rows, accounts, profile) and the run's specification out.

A file or a recipe that cannot be used is a value, `{"status": "rejected", …}`; only faults of ours are raised.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger

from modelmill.aws import objects, uploads
from modelmill.aws.records import datasets, pipelines
from modelmill.aws.records.mask_key import pseudonyms
from modelmill.aws.settings import settings
from modelmill.core.data.accounts import UnusableData
from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import parse_recipe
from modelmill.frames.describe import Run, describe, reply
from modelmill.frames.prepare import prepare
from modelmill.frames.recipe_file import read_recipe
from modelmill.frames.write import write

logger = Logger(service="preprocess")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """The workflow's `$.preprocess`: status ok with the plan, or rejected with the reason and the rows if counted."""
    run = Run(event["run_id"], event["tenant"], event["dataset"], event["upload"])
    pipelines.report_stage(run.tenant, run.run_id, "preprocess", "RUNNING")
    try:
        answer = _preprocess(run, event.get("recipe"))
    except Rejected as cause:
        reason = cause.as_dict()
        pipelines.report_stage(run.tenant, run.run_id, "preprocess", "FAILED", message=cause.message, detail=reason)
        logger.info("rejected", extra={"run_id": run.run_id, "code": cause.code})
        counted = {"rows": cause.rows.model_dump()} if isinstance(cause, UnusableData) else {}
        return {"status": "rejected", "reason": reason, **counted}
    rows = answer["rows"]
    message = f"{rows['read']:,} rows read, {rows['used']:,} used, {rows['quarantined']:,} quarantined"
    pipelines.report_stage(run.tenant, run.run_id, "preprocess", "SUCCEEDED", message=message, detail={"rows": rows})
    logger.info("prepared", extra={"run_id": run.run_id, "version": answer["dataset_version"], **rows})
    return answer


def _preprocess(run: Run, document: dict[str, Any] | None) -> dict[str, Any]:
    """The recipe is the workflow's (a run started over the API) or the one that lies beside the file."""
    data = uploads.recipe_bytes(run.upload) if document is None else None
    recipe = parse_recipe(document) if data is None else read_recipe(data)
    bucket, models = settings().data_bucket, settings().models_bucket
    run = replace(run, sources=uploads.sources(run.upload))
    with tempfile.TemporaryDirectory() as folder:
        files = uploads.fetch(run.upload, Path(folder, "upload"), run.sources)
        target = Path(folder, "version")
        target.mkdir()
        prepared = prepare(files, recipe, pseudonyms(run.tenant), Path(folder, "work"), target)
        version, spec = describe(prepared, recipe, run)
        # The record is written last: a version that is on record is complete, and its rows never change.
        if datasets.get_version(run.tenant, run.dataset, version.version) is None:
            write(prepared, version, target)
            for path in sorted(target.iterdir()):
                objects.upload(bucket, version.prefix + path.name, path)
        datasets.add_version(run.tenant, version)
    objects.put(models, f"{run.prefix}spec.json", spec.model_dump_json().encode(), "application/json")
    return reply(version, spec, models)
