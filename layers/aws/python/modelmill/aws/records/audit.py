"""The audit trail: who removed what and when. Records are added, never changed or removed."""

from typing import Any

from modelmill.aws.records import table
from modelmill.aws.records.pipelines import now


def add(tenant: str, action: str, name: str, who: str) -> None:
    """Record that `who` (the name of an API key) did `action` to `name`."""
    when = now()
    body = {"action": action, "name": name, "who": who, "when": when}
    table.put(f"{tenant}#audit", f"{when}#{action}#{name}", body)


def latest(tenant: str, limit: int = 100) -> list[dict[str, Any]]:
    """The newest records, newest first."""
    return [table.body_of(item) for item in table.query(f"{tenant}#audit", newest_first=True, limit=limit)]
