"""Select: the workflow's state with the candidates' names in, the leaderboard and the winner (or a rejection) out."""

from typing import Any

from aws_lambda_powertools import Logger

from modelmill.aws import jobs
from modelmill.aws.records import pipelines
from modelmill.core.errors import Rejected
from modelmill.core.model.select import CandidateResult, leaderboard, select

logger = Logger(service="select")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"status": "ok", "candidate", "leaderboard"}` or `{"status": "rejected", "reason", "leaderboard"}`."""
    tenant, run_id = event["tenant"], event["run_id"]
    pipelines.report_stage(tenant, run_id, "select", "RUNNING")
    causes = {item["candidate"]: item.get("cause", "") for item in event["train"]}
    found = [jobs.candidate_result(tenant, run_id, name, causes[name]) for name in event["preprocess"]["candidates"]]
    board = leaderboard([CandidateResult.model_validate(result) for result in found])
    for result in board:
        # A job that was killed could not say so itself.
        if result.failure is not None:
            pipelines.report_stage(
                tenant, run_id, "train", "FAILED", candidate=result.candidate, message=result.failure
            )
    ranked = [result.model_dump() for result in board]
    try:
        winner = select(board)
    except Rejected as error:
        pipelines.report_stage(tenant, run_id, "select", "FAILED", message=error.message)
        logger.info("no candidate", extra={"run_id": run_id})
        return {"status": "rejected", "reason": error.as_dict(), "leaderboard": ranked}
    pipelines.report_stage(
        tenant,
        run_id,
        "select",
        "SUCCEEDED",
        message=f"{winner.candidate} wins with a validation {winner.measure.replace('_', ' ')} of {winner.loss:.4f}",
        detail={"leaderboard": ranked},
    )
    logger.info("selected", extra={"run_id": run_id, "candidate": winner.candidate})
    return {"status": "ok", "candidate": winner.candidate, "leaderboard": ranked}
