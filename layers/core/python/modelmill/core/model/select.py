"""Selection: the results of the trained candidates in, the leaderboard and the winner out."""

from modelmill.core.errors import Rejected
from pydantic import BaseModel, ConfigDict


class CandidateResult(BaseModel):
    """What a training job measured on the validation rows (`result.json`); a failed job has `error` instead."""

    model_config = ConfigDict(frozen=True)
    candidate: str
    log_loss: float | None = None
    accuracy: float | None = None
    parameters: int | None = None
    train_seconds: float | None = None
    error: str | None = None


def leaderboard(results: list[CandidateResult]) -> list[CandidateResult]:
    """Best first: smallest validation log loss (a proper score), ties by fewer parameters, then name; failed last."""

    def rank(result: CandidateResult) -> tuple[bool, float, int, str]:
        failed = result.error is not None or result.log_loss is None
        return failed, result.log_loss or 0.0, result.parameters or 0, result.candidate

    return sorted(results, key=rank)


def select(results: list[CandidateResult]) -> CandidateResult:
    """The winner; raises Rejected (`no_candidate`) with the first failure's cause when every candidate failed."""
    ranked = leaderboard(results)
    if not ranked or ranked[0].error is not None or ranked[0].log_loss is None:
        cause = ranked[0].error if ranked else "no candidate was trained"
        raise Rejected("no_candidate", f"no candidate could be trained: {cause}")
    return ranked[0]
