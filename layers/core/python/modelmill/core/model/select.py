"""Selection: the results of the trained candidates in, the leaderboard and the winner out."""

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator

from modelmill.core.errors import Rejected


class CandidateResult(BaseModel):
    """What a training job measured on rows that it did not learn from (`result.json`); a failed job has `error`.

    `loss` is the value of `measure` (log_loss in nats, or rmse in the target's unit), smaller is better. A measure
    that is not a finite number (the training diverged) becomes None: NaN compares with nothing, so a candidate with
    it would win or lose by chance, and JSON has no word for it.
    """

    model_config = ConfigDict(frozen=True)
    candidate: str
    family: str = ""
    measure: str = "log_loss"
    loss: float | None = None
    interval: tuple[float, float] | None = None
    """95 % of the loss by bootstrap over rows."""
    scores: dict[str, float] = {}
    """Further scores: accuracy, r2, …"""
    rows: int | None = None
    """How many rows it was measured on."""
    folds: int | None = None
    method: Literal["hold-out", "folds", "nested"] | None = None
    """Nested: settings were chosen inside each fold, so the loss is that of the choice too."""
    settings: dict[str, Any] = {}
    """What trials chose."""
    trials: int | None = None
    study: str | None = None
    """Jobs of one study share its trials; each reports the best of those that it made."""
    parameters: int | None = None
    train_seconds: float | None = None
    cpu_seconds: float | None = None
    error: str | None = None

    @field_validator("loss")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    @property
    def failure(self) -> str | None:
        """Why this candidate cannot win, or None if it can."""
        if self.error is None and self.loss is None:
            return f"candidate {self.candidate}: the training diverged"
        return self.error


def leaderboard(results: list[CandidateResult]) -> list[CandidateResult]:
    """Best first: smallest loss (log loss is a proper score), ties by fewer parameters, then name; failed last."""

    def rank(result: CandidateResult) -> tuple[bool, float, int, str]:
        return result.failure is not None, result.loss or 0.0, result.parameters or 0, result.candidate

    return sorted(results, key=rank)


def select(results: list[CandidateResult]) -> CandidateResult:
    """The winner; raises Rejected (`no_candidate`) with the first failure's cause when every candidate failed."""
    ranked = leaderboard(results)
    if not ranked or ranked[0].failure is not None:
        cause = ranked[0].failure if ranked else "no candidate was trained"
        raise Rejected("no_candidate", f"no candidate could be trained: {cause}")
    return ranked[0]


def runner_up(ranked: list[CandidateResult]) -> CandidateResult | None:
    """The best of a leaderboard that is not the winner, nor of the winner's study; None if there is none."""
    others = [result for result in ranked[1:] if result.failure is None]
    return next((result for result in others if result.study is None or result.study != ranked[0].study), None)


def verdict(winner: CandidateResult, second: CandidateResult | None) -> str:
    """One line for people."""
    measure = winner.measure.replace("_", " ")
    text = f"{winner.candidate} wins with a validation {measure} of {winner.loss:.4f}"
    return text if second is None else f"{text}, before {second.candidate} with {second.loss:.4f}"
