"""API keys: only their sha256 is stored. A key is 32 random bytes, so no salt or slow hash is needed."""

import secrets
from typing import Any

from modelmill.aws.records import table
from modelmill.aws.records.pipelines import now
from modelmill.core.digest import sha256

PREFIX = "mm_"


def create(tenant: str, name: str) -> str:
    """Make a key for a tenant and return it; it cannot be read again."""
    key = PREFIX + secrets.token_urlsafe(32)
    restore(key, tenant, name)
    return key


def restore(key: str, tenant: str, name: str) -> None:
    """Write the record of a key whose holder still has it (the table was lost); raises ConditionFailed if known."""
    table.put(f"key#{sha256(key.encode())}", "key", {"tenant": tenant, "name": name, "created": now()}, new=True)


def find(key: str) -> dict[str, Any] | None:
    """`tenant` and `name` of a key, or None for one that is not known."""
    if not key.startswith(PREFIX) or len(key) > 128:
        return None
    return table.get(f"key#{sha256(key.encode())}", "key")
