"""How a pipeline run ended: the workflow's last state or an event of Step Functions in, status and outcome out.

A reason is for people: the code, one sentence, and what to do. Stack traces and service documents stay in the logs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelmill.core.errors import ModelmillError

RunStatus = Literal["SUCCEEDED", "FAILED", "CANCELLED"]
Reason = dict[str, Any]
MESSAGE_CHARACTERS = 500
# Where Lambda, SageMaker, Batch and EMR Serverless say why, in the documents that they put into a task's Cause.
_CAUSE_FIELDS = ("errorMessage", "FailureReason", "StatusReason", "StateDetails")
# How Lambda puts it that the kernel ended a function: older runtimes have no name for it.
_OUT_OF_MEMORY = ("Runtime.OutOfMemory", "signal: killed")
_RETRY_HINT = "upload the file again; if it fails again, the run's logs have the details"


@dataclass(frozen=True, slots=True)
class Ending:
    """The state that a run ended in, whichever way it was told.

    `status` is the execution's own where Step Functions reported it, else None; `state` is the workflow's state (or
    its input, which is all that such an event carries); `error` and `cause` are Step Functions' own words.
    """

    state: dict[str, Any]
    status: str | None = None
    error: str = ""
    cause: str = ""

    @classmethod
    def of(cls, event: dict[str, Any]) -> "Ending":
        """From a workflow state, or from an EventBridge "Step Functions Execution Status Change" event."""
        if event.get("source") == "aws.states":
            detail = event["detail"]
            return cls(
                json.loads(detail["input"]), detail["status"], detail.get("error") or "", detail.get("cause") or ""
            )
        failure = event.get("error") or {}
        return cls(event, None, failure.get("Error", ""), failure.get("Cause", ""))

    @property
    def rejection(self) -> Reason | None:
        """The reason of the stage that refused the data, the recipe or the models; or None."""
        for stage in ("preprocess", "select"):
            result = self.state.get(stage) or {}
            if result.get("status") == "rejected":
                reason: Reason = result["reason"]
                return reason
        return None

    @property
    def data_rejected(self) -> bool:
        """True if the upload itself was refused, which is nobody's fault on the operator's side."""
        return (self.state.get("preprocess") or {}).get("status") == "rejected"

    @property
    def is_fault(self) -> bool:
        """True if the run failed and not by its data, which were refused."""
        return self.run_status() == "FAILED" and not self.data_rejected

    @property
    def succeeded(self) -> bool:
        """True if the workflow came to its end with a registered model."""
        return not (self.status or self.error or self.rejection) and "register" in self.state

    def run_status(self) -> RunStatus:
        """The status that the run's record gets."""
        if self.status == "ABORTED":
            return "CANCELLED"
        return "SUCCEEDED" if self.succeeded else "FAILED"

    def reason(self, failures: Sequence[Reason], running: Sequence[str]) -> Reason | None:
        """Why the run did not succeed, or None if it did.

        `failures` are the reasons that failed jobs wrote down, `running` the stages that were under way: the first
        names the stage where nothing better is known.
        """
        if self.succeeded:
            return None
        if self.status == "ABORTED":
            return {"code": "cancelled", "message": "the run was cancelled"}
        if self.rejection:
            return self.rejection
        where = f"{running[0]}: " if running else ""
        if self.status == "TIMED_OUT" or self.error in ("States.Timeout", "Sandbox.Timedout"):
            return {"code": "timed_out", "message": f"{where}it took too long", "hint": _RETRY_HINT}
        if failures:
            return failures[0]
        code, message = "stage_failed", cause_text(self.cause) or self.error or "the workflow failed"
        if any(sign in self.error or sign in self.cause for sign in _OUT_OF_MEMORY):
            code, message = "out_of_memory", "it ran out of memory"
        return {"code": code, "message": f"{where}{message}", "hint": _RETRY_HINT}

    def outcome(self, reason: Reason | None) -> dict[str, Any]:
        """What the run's record says at the end: reason, rows, warnings, task, target, dataset version, model."""
        preprocess = self.state.get("preprocess") or {}
        registered = self.state.get("register")
        known = {name: preprocess.get(name) for name in ("rows", "task", "target", "dataset_version")}
        model = None
        if registered:
            model = {"name": registered["model"], "version": registered["version"], "metrics": registered["metrics"]}
        return {"reason": reason, "warnings": preprocess.get("warnings", []), "model": model, **known}


def cause_text(cause: str) -> str:
    """The sentence for people in a Step Functions Cause: one line, no stack trace, at most MESSAGE_CHARACTERS."""
    text = cause
    try:
        document = json.loads(cause)
    except json.JSONDecodeError:
        document = None
    if isinstance(document, dict):
        document = document.get("JobRun", document)
        text = next((str(document[name]) for name in _CAUSE_FIELDS if document.get(name)), "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith("Traceback"):
        lines = lines[-1:]
    return lines[0][:MESSAGE_CHARACTERS] if lines else ""


def job_failure(document: Any, candidate: str | None = None, cause: str = "") -> Reason:
    """The reason in a job's `failure.json` (`{"code", "message", …}`), led by the candidate's name if it has one.

    A job that was killed left no such document (None); then `cause`, the service's own words, has to do.
    """
    if not isinstance(document, dict) or not {"code", "message"} <= document.keys():
        message = cause_text(cause) or "the job ended without a result and did not say why"
        return {"code": "job_failed", "message": _named(candidate, message)}
    reason = ModelmillError.from_dict(document).as_dict()
    return reason | {"message": _named(candidate, cause_text(str(reason["message"])))}


def _named(candidate: str | None, message: str) -> str:
    return f"candidate {candidate}: {message}" if candidate else message
