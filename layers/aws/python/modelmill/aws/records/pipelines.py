"""Pipeline runs and the progress of their stages."""

from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal

from modelmill.aws.records import table
from modelmill.core.lifecycle import position

Status = Literal["RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
StageStatus = Literal["RUNNING", "SUCCEEDED", "FAILED", "SKIPPED"]
LOOK_BACK = 1_000
"""How many of the newest runs a filtered list looks at."""


def now() -> str:
    """The time as ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def start(tenant: str, run_id: str, body: dict[str, Any]) -> bool:
    """Record a new run as RUNNING; False if this run is known already."""
    try:
        table.put(
            f"{tenant}#pipelines",
            run_id,
            {"id": run_id, "tenant": tenant, "started": now(), **body},
            new=True,
            run_status={"S": "RUNNING"},
        )
    except table.ConditionFailed:
        return False
    return True


def finish(tenant: str, run_id: str, status: Status, outcome: dict[str, Any]) -> bool:
    """Close a RUNNING run with its outcome; False if it is closed already (the first close stands).

    A stage that still says RUNNING is FAILED with the run: whatever ran it can no longer say so itself.
    """
    if status != "SUCCEEDED":
        _fail_running_stages(tenant, run_id, (outcome.get("reason") or {}).get("message", ""))
    body = table.get(f"{tenant}#pipelines", run_id, consistent=True)
    if body is None:
        return False
    try:
        table.put_if(
            f"{tenant}#pipelines",
            run_id,
            {**body, **outcome, "ended": now()},
            condition="run_status = :running",
            values={":running": {"S": "RUNNING"}},
            run_status={"S": status},
        )
    except table.ConditionFailed:
        return False
    return True


def _fail_running_stages(tenant: str, run_id: str, message: str) -> None:
    for stage in stages(tenant, run_id):
        if stage["status"] == "RUNNING":
            report_stage(tenant, run_id, stage["stage"], "FAILED", candidate=stage["candidate"], message=message)


def get(tenant: str, run_id: str) -> dict[str, Any] | None:
    """The run with `status` and `stages`, or None."""
    item = table.get_item(f"{tenant}#pipelines", run_id, consistent=True)
    return None if item is None else _run(item) | {"stages": stages(tenant, run_id)}


def latest(
    tenant: str,
    limit: int | None,
    *,
    dataset: str | None = None,
    upload_key: str | None = None,
    look_back: int | None = LOOK_BACK,
) -> list[dict[str, Any]]:
    """The newest runs, newest first, without their stages; of one dataset or one uploaded object if asked.

    A filter sees the newest `look_back` runs, or with None all of them.
    """

    def wanted(run: dict[str, Any]) -> bool:
        return (dataset is None or run.get("dataset") == dataset) and (
            upload_key is None or run.get("upload", {}).get("key") == upload_key
        )

    seen = limit if dataset is None and upload_key is None else look_back
    runs = map(_run, table.query(f"{tenant}#pipelines", newest_first=True, limit=seen))
    return list(islice(filter(wanted, runs), limit))


def _run(item: dict[str, Any]) -> dict[str, Any]:
    return table.body_of(item) | {"status": item["run_status"]["S"]}


def stages(tenant: str, run_id: str) -> list[dict[str, Any]]:
    """The stages that have begun, in the order of the life cycle."""
    return [table.body_of(item) for item in table.query(f"{tenant}#pipeline#{run_id}")]


def _is_closed(tenant: str, run_id: str) -> bool:
    item = table.get_item(f"{tenant}#pipelines", run_id, consistent=True)
    return item is not None and item["run_status"]["S"] != "RUNNING"


def report_stage(
    tenant: str,
    run_id: str,
    stage: str,
    status: StageStatus,
    *,
    candidate: str | None = None,
    fraction: float | None = None,
    message: str = "",
    detail: dict[str, Any] | None = None,
) -> None:
    """Say how far a stage is: `fraction` in 0..1, one line for people in `message`, numbers in `detail`.

    RUNNING is not said any more once the run is closed: what was under way may end later than a cancelled run.
    """
    if status == "RUNNING" and _is_closed(tenant, run_id):
        return
    sk = f"{position(stage):02}#{stage}" + (f"#{candidate}" if candidate else "")
    pk = f"{tenant}#pipeline#{run_id}"
    known = table.get(pk, sk) or {}
    body = {
        "stage": stage,
        "candidate": candidate,
        "status": status,
        "started": known.get("started", now()),
        "ended": None if status == "RUNNING" else now(),
        "fraction": 1.0 if status == "SUCCEEDED" else fraction,
        "message": message,
        "detail": detail or {},
    }
    table.put(pk, sk, body)
