"""What a family gets from the job around it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from modelmill.core.model.spec import Candidate, RunSpec
from modelmill.training import parallel
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.objective import Objective

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Run:
    """One candidate of one run. `progress` takes the share that is done and a line for people."""

    spec: RunSpec
    candidate: Candidate
    objective: Objective
    device: torch.device
    progress: Progress
    checkpoints: Checkpoints
    weights: Path | None = None
    """The folder of pretrained weights, if the candidate names some."""
    deadline: float | None = None
    """When training must stop and keep its best, on the clock of `time.monotonic`."""
    name: str = ""
    """Of the fit, where there are several."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """What the loops of all fits append: epoch, losses, learning rate."""
    watch: Callable[[int, float], None] | None = None
    """Hears the validation loss of each epoch of a trial, and raises to end it."""

    @property
    def seed(self) -> int:
        """The recipe's."""
        return self.spec.recipe.seed

    def part(self, name: str, start: float, stop: float) -> "Run":
        """The run of one fit of several: its progress is a part of the whole, its checkpoint one of its own."""

        def progress(done: float, message: str) -> None:
            self.progress(start + (stop - start) * done, f"{name}: {message}")

        return replace(self, progress=progress, checkpoints=self.checkpoints.of(name), name=name)

    def report(self, epoch: int, loss: float) -> None:
        """Say the validation loss after an epoch: a trial that is no longer among the best ends here."""
        if self.watch:
            self.watch(epoch, loss)

    def late(self) -> bool:
        """True when the budget's time is over, by the clock of the process that leads: all of several must ask."""
        return parallel.agree(self.deadline is not None and time.monotonic() >= self.deadline)
