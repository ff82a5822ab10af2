"""The life cycle, in order: the one list that the workflow, the folders and the README must equal.

`STAGES` flows data → model → serve → watch. A test compares it with the states of the state machine in
`infra_cdk/workflow.py`, with the folders under `functions/` and with the table of the README.
"""

from dataclasses import dataclass
from typing import Literal

Phase = Literal["data", "model", "serve", "watch"]
Trigger = Literal["queue", "workflow", "api", "schedule"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the life cycle.

    `function` is the folder under `functions/` whose code runs it; `state` is the state of the workflow that
    starts it, or None where something other than the workflow does (a queue, the API, a schedule). Several
    stages can share one state: evaluate, convert and optimise are one job, because starting a job costs minutes.
    """

    name: str
    phase: Phase
    function: str
    trigger: Trigger
    state: str | None = None


STAGES: tuple[Stage, ...] = (
    Stage("ingest", "data", "data/ingest", "queue"),
    Stage("preprocess", "data", "data/preprocess", "workflow", "Preprocess"),
    Stage("train", "model", "model/job", "workflow", "Train"),
    Stage("select", "model", "model/select", "workflow", "Select"),
    Stage("evaluate", "model", "model/job", "workflow", "Package"),
    Stage("convert", "model", "model/job", "workflow", "Package"),
    Stage("optimise", "model", "model/job", "workflow", "Package"),
    Stage("register", "model", "model/register", "workflow", "Register"),
    Stage("deploy", "serve", "serve/deploy", "workflow", "Deploy"),
    Stage("predict", "serve", "serve/predict", "api"),
    Stage("observe", "watch", "watch/observe", "schedule"),
    Stage("conclude", "watch", "watch/conclude", "workflow", "Conclude"),
)

PIPELINE_STAGES: tuple[str, ...] = tuple(
    stage.name for stage in STAGES if stage.trigger == "workflow" and stage.name != "conclude"
)
"""The stages whose progress a pipeline run reports, in the order in which they run."""


def position(stage: str) -> int:
    """Index of `stage` in the life cycle. Raises KeyError for an unknown name."""
    for index, known in enumerate(STAGES):
        if known.name == stage:
            return index
    raise KeyError(stage)
