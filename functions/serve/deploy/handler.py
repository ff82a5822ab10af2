"""Deploy: the workflow's state after registration in, the model's route, which now leads to the new version, out."""

from typing import Any

from aws_lambda_powertools import Logger

from modelmill.aws import jobs
from modelmill.aws.records import models, pipelines
from modelmill.core.errors import Conflict, NotFound
from modelmill.core.serve.route import Route

logger = Logger(service="deploy")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"route", "revision", "skipped"}`; skipped where the recipe says `rollout: {route: false}`."""
    tenant, run_id = event["tenant"], event["run_id"]
    model, version = event["register"]["model"], event["register"]["version"]
    pipelines.report_stage(tenant, run_id, "deploy", "RUNNING")
    spec = jobs.read(tenant, run_id, jobs.SPEC)
    if not spec["recipe"]["rollout"]["route"]:
        pipelines.report_stage(tenant, run_id, "deploy", "SKIPPED", message="the recipe asks for no route")
        return _answer(tenant, model) | {"skipped": True}
    try:
        moved = _route(tenant, model, version, run_id)
    except Conflict:
        # Somebody moved the route between our read and our write: the move after it is ours.
        moved = _route(tenant, model, version, run_id)
    message = f"{model} answers with version {version}"
    pipelines.report_stage(tenant, run_id, "deploy", "SUCCEEDED", message=message)
    logger.info("deployed", extra={"run_id": run_id, "model": model, "version": version, "moved": moved})
    return _answer(tenant, model) | {"skipped": False}


def _route(tenant: str, model: str, version: str, run_id: str) -> bool:
    """Lead all traffic to `version` unless it has a share already; True if the route moved."""
    found = _found(tenant, model)
    if found["route"] and version in found["route"]["weights"]:
        return False
    models.set_route(tenant, model, Route({version: 1.0}), revision=found["revision"], who=f"pipeline {run_id}")
    return True


def _answer(tenant: str, model: str) -> dict[str, Any]:
    found = _found(tenant, model)
    return {"route": found["route"], "revision": found["revision"]}


def _found(tenant: str, model: str) -> dict[str, Any]:
    found = models.get(tenant, model, consistent=True)
    if found is None:
        raise NotFound("model", model)
    return found
