"""Batch's part of a job, played around a process: SubmitJob in, the job of DescribeJobs out.

Sources: SubmitJob, DescribeJobs, and "Call AWS Batch" in the Step Functions guide (`.sync` results have PascalCase keys
and times in epoch milliseconds). The job definition is not in the local template, so the request must hold the command.
"""

import json
import shutil
import uuid
from pathlib import Path

from modelmill.local.jobs import Job, Outcome, run
from modelmill.local.place import ENTRY_POINT, REGION_ACCOUNT, Document, Place, TaskFailed, checked_name, milliseconds


def submit_job(request: Document, place: Place) -> Document:
    """`batch:submitJob.sync`: the job of DescribeJobs when it succeeded, or raises TaskFailed."""
    name = checked_name("Batch.ClientException", request.get("JobName"), r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,127}")
    attempts = int(request.get("RetryStrategy", {}).get("Attempts", 1))
    job_id, history = str(uuid.uuid4()), list[Outcome]()
    for attempt in range(1, attempts + 1):
        folder = place.folder()
        try:
            identity = {"AWS_BATCH_JOB_ID": job_id, "AWS_BATCH_JOB_ATTEMPT": str(attempt)}
            history.append(run(_batch_job(request, identity, folder, place), place.cancelled))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if history[-1].status != "failed":  # Batch does not retry what ended by its own timeout
            break
    described = _describe_batch(request, name, job_id, history)
    if history[-1].status != "succeeded":
        raise TaskFailed("States.TaskFailed", json.dumps(described))
    return described


def _overrides(request: Document) -> Document:
    """What the container is told; a job of several hosts is played by one, which is told what the first of them is."""
    nodes: list[Document] = request.get("NodeOverrides", {}).get("NodePropertyOverrides", [{}])
    overrides: Document = request.get("ContainerOverrides") or nodes[0].get("ContainerOverrides", {})
    return overrides


def _batch_job(request: Document, identity: dict[str, str], folder: Path, place: Place) -> Job:
    """`ContainerOverrides.Command` is what Docker would append to the ENTRYPOINT, unless it names a program itself."""
    overrides = _overrides(request)
    command = tuple(overrides.get("Command", ()))
    if not command or command[0].startswith("-"):
        command = (*ENTRY_POINT, *command)
    given = {entry["Name"]: entry["Value"] for entry in overrides.get("Environment", [])}
    return Job(
        name=request["JobName"],
        command=command,
        environment={**identity, **given},
        max_seconds=float(request.get("Timeout", {}).get("AttemptDurationSeconds", 86_400)),
        folder=folder,
        log=place.log(request["JobName"]),
    )


_BATCH_REASON = {
    "succeeded": "Essential container in task exited",
    "failed": "Essential container in task exited",
    "stopped": "Job was terminated",
    "timed_out": "Job attempt duration exceeded timeout",
}


def _describe_batch(request: Document, name: str, job_id: str, history: list[Outcome]) -> Document:
    last = history[-1]
    overrides = _overrides(request)
    return {
        "JobName": name,
        "JobId": job_id,
        "JobArn": f"arn:aws:batch:{REGION_ACCOUNT}:job/{job_id}",
        "JobQueue": request.get("JobQueue", ""),
        "JobDefinition": request.get("JobDefinition", ""),
        "Status": "SUCCEEDED" if last.status == "succeeded" else "FAILED",
        "StatusReason": _BATCH_REASON[last.status],
        "CreatedAt": milliseconds(history[0].started),
        "StartedAt": milliseconds(last.started),
        "StoppedAt": milliseconds(last.ended),
        "Attempts": [
            {"Container": {"ExitCode": one.exit_code}, "StoppedAt": milliseconds(one.ended)} for one in history
        ],
        "Container": {
            "Command": overrides.get("Command", []),
            "Environment": overrides.get("Environment", []),
            "ExitCode": last.exit_code,
        },
    }
