"""Register: the workflow's state after packaging in, the number of the model's new (or known) version out."""

import json
from typing import Any

from aws_lambda_powertools import Logger

from modelmill.aws import jobs, objects
from modelmill.aws.records import models, pipelines
from modelmill.aws.settings import settings
from modelmill.core.model.package import MANIFEST, Manifest, verify
from modelmill.core.model.registration import version_record
from modelmill.core.names import package_prefix

logger = Logger(service="register")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"model", "version", "digest", "metrics"}`; raises TamperedPackage if the stored bytes are not the package."""
    tenant, run_id = event["tenant"], event["run_id"]
    pipelines.report_stage(tenant, run_id, "register", "RUNNING")
    packaged = jobs.read(tenant, run_id, jobs.PACKAGE)
    if packaged is None:
        raise FileNotFoundError("the packaging job left no package.json")
    manifest, files = _verified(tenant, packaged["digest"])
    record = version_record(run_id, manifest, files, packaged, event["select"]["leaderboard"])
    model = event["preprocess"]["model"]
    version, new = models.register(tenant, model, packaged["digest"], record)
    pipelines.report_stage(
        tenant,
        run_id,
        "register",
        "SUCCEEDED",
        message=f"{model} version {version}" + ("" if new else ", which held this very package already"),
        detail={"model": model, "version": version, "digest": packaged["digest"]},
    )
    logger.info("registered", extra={"run_id": run_id, "model": model, "version": version, "new": new})
    return {"model": model, "version": version, "digest": packaged["digest"], "metrics": record["metrics"]}


def _verified(tenant: str, digest: str) -> tuple[Manifest, dict[str, bytes]]:
    """The package's manifest and files as they are stored, every byte checked against `digest`."""
    bucket, prefix = settings().models_bucket, package_prefix(tenant, digest)
    manifest = Manifest.model_validate(json.loads(objects.get(bucket, prefix + MANIFEST)))
    names = [key.removeprefix(prefix) for key in objects.keys(bucket, prefix)]
    files = {name: objects.get(bucket, prefix + name) for name in names if name != MANIFEST}
    verify(manifest, digest, files)
    return manifest, files
