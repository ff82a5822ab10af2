"""Conclude: the workflow's last state, or an event that it was stopped, in; a closed record and `status` out."""

import json
import time
from typing import Any

from aws_lambda_powertools import Logger

from modelmill.aws import jobs, objects
from modelmill.aws.records import pipelines
from modelmill.aws.settings import settings
from modelmill.core.limits import QUARANTINE_BYTES
from modelmill.core.names import UploadKey, quarantine_key
from modelmill.core.watch.emf import emf_line
from modelmill.core.watch.outcome import Ending

logger = Logger(service="conclude")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"status": "SUCCEEDED" | "FAILED" | "CANCELLED", "fault", "reason"}`; a closed run stays as it is."""
    ending = Ending.of(event)
    tenant, run_id = ending.state["tenant"], ending.state["run_id"]
    status, reason = ending.run_status(), _reason(ending, tenant, run_id)
    if ending.rejection and (ending.data_rejected or ending.is_fault):
        _quarantine(ending.state["upload"], ending.rejection)
    if pipelines.finish(tenant, run_id, status, ending.outcome(reason)):
        metric = "PipelineSucceeded" if status == "SUCCEEDED" else "PipelineFailed"
        if status != "CANCELLED":
            print(emf_line(int(time.time() * 1_000), {"tenant": tenant}, {metric: (1, "Count")}))  # noqa: T201
        logger.info("closed", extra={"run_id": run_id, "status": status, "code": (reason or {}).get("code")})
    return {"status": status, "fault": ending.is_fault, "reason": reason}


def _reason(ending: Ending, tenant: str, run_id: str) -> dict[str, Any] | None:
    if ending.succeeded:
        return None
    selected = "select" in ending.state
    candidates = [] if selected else (ending.state.get("preprocess") or {}).get("candidates", [])
    stages = pipelines.stages(tenant, run_id)
    running = [stage["stage"] for stage in stages if stage["status"] == "RUNNING"]
    # What stopped one of many parts: the map that they belong to does not tell.
    parts = [stage["detail"] for stage in stages if (stage["stage"], stage["status"]) == ("preprocess", "FAILED")]
    told = [reason for reason in parts if "code" in reason]
    return ending.reason([*told, *jobs.failures(tenant, run_id, candidates)], running)


def _quarantine(upload: dict[str, Any], reason: dict[str, Any]) -> None:
    """Keep the refused file (if it is very large, where it is), with the reason, where no upload overwrites it."""
    key = quarantine_key(UploadKey.parse(upload["key"]))
    bucket = settings().data_bucket
    if upload.get("size", 0) > QUARANTINE_BYTES:
        reason = reason | {"upload": upload}
    else:
        try:
            objects.copy((upload["bucket"], upload["key"]), (bucket, key), upload.get("version_id"))
        except FileNotFoundError:
            logger.warning("the refused file was removed meanwhile")
    document = json.dumps(reason, ensure_ascii=False, indent=1).encode()
    objects.put(bucket, f"{key}.reason.json", document, "application/json")
