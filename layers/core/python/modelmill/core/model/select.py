"""Selection: the results of the trained candidates in, the leaderboard and the winner out."""

import math

from pydantic import BaseModel, ConfigDict, field_validator

from modelmill.core.errors import Rejected


class CandidateResult(BaseModel):
    """What a training job measured on the validation rows (`result.json`); a failed job has `error` instead.

    A measure that is not a finite number (the training diverged) becomes None: NaN compares with nothing, so a
    candidate with it would win or lose by chance, and JSON has no word for it.
    """

    model_config = ConfigDict(frozen=True)
    candidate: str
    log_loss: float | None = None
    accuracy: float | None = None
    parameters: int | None = None
    train_seconds: float | None = None
    error: str | None = None

    @field_validator("log_loss", "accuracy")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    @property
    def failure(self) -> str | None:
        """Why this candidate cannot win, or None if it can."""
        if self.error is None and self.log_loss is None:
            return f"candidate {self.candidate}: the training diverged"
        return self.error


def leaderboard(results: list[CandidateResult]) -> list[CandidateResult]:
    """Best first: smallest validation log loss (a proper score), ties by fewer parameters, then name; failed last."""

    def rank(result: CandidateResult) -> tuple[bool, float, int, str]:
        return result.failure is not None, result.log_loss or 0.0, result.parameters or 0, result.candidate

    return sorted(results, key=rank)


def select(results: list[CandidateResult]) -> CandidateResult:
    """The winner; raises Rejected (`no_candidate`) with the first failure's cause when every candidate failed."""
    ranked = leaderboard(results)
    if not ranked or ranked[0].failure is not None:
        cause = ranked[0].failure if ranked else "no candidate was trained"
        raise Rejected("no_candidate", f"no candidate could be trained: {cause}")
    return ranked[0]
