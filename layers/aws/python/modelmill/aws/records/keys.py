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
    digest, record = sha256(key.encode()), {"tenant": tenant, "name": name, "created": now()}
    # The way back first: no key may open that nobody can take back.
    table.put(f"{tenant}#keys", f"{name}#{digest}", record)
    table.put(f"key#{digest}", "key", record, new=True)


def find(key: str) -> dict[str, Any] | None:
    """`tenant` and `name` of a key, or None for one that is not known."""
    if not key.startswith(PREFIX) or len(key) > 128:
        return None
    return table.get(f"key#{sha256(key.encode())}", "key")


def names(tenant: str) -> list[str]:
    """The names of the tenant's keys, in order; a name that has several keys as often."""
    return [item["sk"]["S"].rpartition("#")[0] for item in table.query(f"{tenant}#keys")]


def revoke(tenant: str, name: str) -> int:
    """Take back all keys of this name; how many there were."""
    digests = [item["sk"]["S"].rpartition("#")[2] for item in table.query(f"{tenant}#keys", f"{name}#")]
    for digest in digests:
        table.delete(f"key#{digest}", "key")
        table.delete(f"{tenant}#keys", f"{name}#{digest}")
    return len(digests)
