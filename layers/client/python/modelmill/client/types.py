"""What the control API answers, as small frozen records. Fields that a newer server adds are in `raw`."""

from dataclasses import dataclass, field
from typing import Any, Literal

RunStatus = Literal["RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Upload:
    """Files that have arrived; `key` names the run that they start."""

    upload_id: str
    key: str


@dataclass(frozen=True, slots=True)
class Stage:
    """Progress of one stage (of one candidate, if it trains): `fraction` in 0..1 or None, times in ISO 8601."""

    stage: str
    status: str
    candidate: str | None = None
    fraction: float | None = None
    message: str = ""
    started: str | None = None
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One pipeline run. `reason`, `rows`, `model` are None until they are known."""

    id: str
    status: RunStatus
    dataset: str
    dataset_version: str | None = None
    task: str | None = None
    target: str | None = None
    reason: Document | None = None
    rows: Document | None = None
    warnings: list[Document] = field(default_factory=list)
    model: Document | None = None
    started: str | None = None
    ended: str | None = None
    stages: list[Stage] = field(default_factory=list)
    raw: Document = field(default_factory=dict, repr=False)

    @property
    def over(self) -> bool:
        """True when the run will not change any more."""
        return self.status != "RUNNING"

    @classmethod
    def parse(cls, body: Document) -> "Run":
        """From the API's document."""
        names = ("dataset_version", "task", "target", "reason", "rows", "model", "started", "ended")
        return cls(
            id=body["id"],
            status=body["status"],
            dataset=body["dataset"],
            warnings=body.get("warnings") or [],
            stages=[_stage(stage) for stage in body.get("stages") or []],
            raw=body,
            **{name: body.get(name) for name in names},
        )

    def summary(self) -> Document:
        """What `modelmill push --wait --json` ends with."""
        return {
            "dataset": self.dataset,
            "version": self.dataset_version,
            "pipeline": self.id,
            "status": self.status,
            "reason": self.reason,
            "rows": self.rows,
            "warnings": self.warnings,
            "task": self.task,
            "target": self.target,
            "model": self.model,
        }


def _stage(body: Document) -> Stage:
    names = ("candidate", "fraction", "started", "ended")
    return Stage(body["stage"], body["status"], message=body.get("message") or "", **{n: body.get(n) for n in names})
