"""What training and packaging jobs left in S3 (`{run_prefix}…`): results and reasons of failure out."""

import json
from typing import Any

from modelmill.aws import objects
from modelmill.aws.settings import settings
from modelmill.core.names import run_prefix
from modelmill.core.watch.outcome import job_failure

SPEC = "spec.json"
RESULT = "result.json"
FAILURE = "failure.json"
PACKAGE = "package.json"


def read(tenant: str, run_id: str, name: str) -> Any:
    """A JSON document of the run, or None if there is none."""
    data = objects.find(settings().models_bucket, run_prefix(tenant, run_id) + name)
    return None if data is None else json.loads(data)


def candidate_result(tenant: str, run_id: str, candidate: str, cause: str) -> dict[str, Any]:
    """What the candidate's training job measured, or its name and the `error` that stopped it.

    `cause` is what the workflow knows of the job's failure, for a job that could not say it itself.
    """
    folder = f"candidates/{candidate}/"
    result: dict[str, Any] | None = read(tenant, run_id, folder + RESULT)
    if result is not None:
        return result
    failure = job_failure(read(tenant, run_id, folder + FAILURE), candidate, cause)
    return {"candidate": candidate, "error": failure["message"]}


def failures(tenant: str, run_id: str, candidates: list[str]) -> list[dict[str, Any]]:
    """Reasons that stopped the run's jobs, the packaging job's first; `candidates` are those still to be selected from.

    A job that failed and then succeeded when it was tried again leaves its old reason behind: it is no reason any more.
    """
    if read(tenant, run_id, PACKAGE) is not None:
        return []
    packaging = read(tenant, run_id, FAILURE)
    if packaging is not None:
        return [job_failure(packaging)]
    folders = [(name, f"candidates/{name}/") for name in candidates]
    documents = [
        (name, read(tenant, run_id, folder + FAILURE))
        for name, folder in folders
        if read(tenant, run_id, folder + RESULT) is None
    ]
    return [job_failure(document, name) for name, document in documents if document is not None]
