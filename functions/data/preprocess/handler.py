"""Preprocess: an uploaded file in; a dataset version (rows, accounts, profile) and the run's specification out.

A small upload is prepared at once. For a larger one the answer names the engine, and the workflow calls this function
again for each `step`: of each part or bucket (`index`), or of them all; and with step `failed` and the `error` if one
of a part fails. A file or a recipe that cannot be used is a
value, `{"status": "rejected", …}`; only faults of ours are raised.
"""

from typing import Any

from aws_lambda_powertools import Logger

from modelmill.aws.records import pipelines
from modelmill.core.data.accounts import UnusableData
from modelmill.core.errors import Rejected
from modelmill.core.watch.outcome import Ending
from modelmill.frames.describe import Run
from preparing import begin, steps

logger = Logger(service="preprocess")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """The workflow's `$.preprocess`: status ok with the plan; map or spark with what is to be done; or rejected."""
    run = Run(event["run_id"], event["tenant"], event["dataset"], event["upload"])
    step = event.get("step", "start")
    if step == "failed":
        reason = Ending.of(event).reason([], ["preprocess"]) or {}
        _report(run, "FAILED", message=reason["message"], detail=reason)
        return {}
    if "index" in event:
        # Of thousands at the same time: none of them writes to the run's record.
        steps.EACH[step](run, int(event["index"]))
        return {}
    try:
        if step == "start":
            _report(run, "RUNNING")
            answer = begin.start(run, event.get("recipe"))
        else:
            answer = steps.ALL[step](run)
    except Rejected as cause:
        reason = cause.as_dict()
        _report(run, "FAILED", message=cause.message, detail=reason)
        logger.info("rejected", extra={"run_id": run.run_id, "code": cause.code})
        counted = {"rows": cause.rows.model_dump()} if isinstance(cause, UnusableData) else {}
        return {"status": "rejected", "reason": reason, **counted}
    if answer["status"] in ("map", "spark"):
        _report(run, "RUNNING", **steps.progress(step, answer))
        return answer
    rows = answer["rows"]
    message = f"{rows['read']:,} rows read, {rows['used']:,} used, {rows['quarantined']:,} quarantined"
    _report(run, "SUCCEEDED", message=message, detail={"rows": rows})
    logger.info("prepared", extra={"run_id": run.run_id, "version": answer["dataset_version"], **rows})
    return answer


def _report(run: Run, status: pipelines.StageStatus, **more: Any) -> None:
    pipelines.report_stage(run.tenant, run.run_id, "preprocess", status, **more)
