"""Select: the workflow's state with the jobs' names in, the leaderboard and the winner (or a rejection) out."""

from typing import Any

from aws_lambda_powertools import Logger

from modelmill.aws import jobs
from modelmill.aws.records import pipelines
from modelmill.core.errors import Rejected
from modelmill.core.model.budget import spent
from modelmill.core.model.recipe import Compute
from modelmill.core.model.select import CandidateResult, leaderboard, runner_up, select, verdict

logger = Logger(service="select")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"status": "ok", "candidate", "runner_up", "leaderboard", "spent"}`, or status `rejected` with a `reason`."""
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
    told: dict[str, Any] = {
        "leaderboard": [result.model_dump(mode="json") for result in board],
        "spent": spent(board, Compute.model_validate(event["preprocess"]["compute"])),
    }
    try:
        winner = select(board)
    except Rejected as error:
        pipelines.report_stage(tenant, run_id, "select", "FAILED", message=error.message)
        logger.info("no candidate", extra={"run_id": run_id})
        return {"status": "rejected", "reason": error.as_dict(), **told}
    second = runner_up(board)
    told["runner_up"] = second and second.candidate
    pipelines.report_stage(tenant, run_id, "select", "SUCCEEDED", message=verdict(winner, second), detail=told)
    logger.info("selected", extra={"run_id": run_id, "candidate": winner.candidate})
    return {"status": "ok", "candidate": winner.candidate, **told}
