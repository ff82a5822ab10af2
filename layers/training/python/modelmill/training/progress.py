"""Progress of a job in, the run's stage records out: at most one a second while a stage runs."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from modelmill.aws.records import pipelines

_EVERY_SECONDS = 1.0


def line(part: str, epoch: Mapping[str, float]) -> str:
    """An epoch as a line of a log, `name=value` each: what the metric definitions of a SageMaker job look for."""
    values = " ".join(f"{name}={value:.6g}" for name, value in epoch.items())
    return f"modelmill: {part + ': ' if part else ''}{values}"


@dataclass(slots=True)
class Stage:
    """One stage of a run: RUNNING inside the `with` block, then SUCCEEDED with what `done` said, or FAILED.

    A SystemExit (spot interruption) leaves it RUNNING: the next attempt goes on.
    """

    tenant: str
    run_id: str
    name: str
    candidate: str | None = None
    silent: bool = False
    """Says nothing: one of several processes speaks for all."""
    clock: Callable[[], float] = time.monotonic
    message: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    _said: float = field(default=0.0, init=False)

    def __enter__(self) -> Self:
        """Report that the stage has begun."""
        self._report("RUNNING", 0.0, "")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Report how it ended."""
        if error is None:
            self._report("SUCCEEDED", 1.0, self.message)
        elif isinstance(error, Exception):
            self.detail = {}
            self._report("FAILED", None, str(error)[:500] or type(error).__name__)

    def running(self, fraction: float, message: str) -> None:
        """Say how far it is, unless that was said within the last second."""
        if self.clock() - self._said >= _EVERY_SECONDS:
            self._report("RUNNING", fraction, message)

    def done(self, message: str, **detail: Any) -> None:
        """What to say once the stage has succeeded."""
        self.message, self.detail = message, detail

    def _report(self, status: pipelines.StageStatus, fraction: float | None, message: str) -> None:
        if self.silent:
            return
        pipelines.report_stage(
            self.tenant,
            self.run_id,
            self.name,
            status,
            candidate=self.candidate,
            fraction=fraction,
            message=message,
            detail=self.detail,
        )
        self._said = self.clock()
