"""Idempotency keys of the API: the first call with a key decides, every later one gets the same decision."""

from typing import Any

from modelmill.aws.records import table
from modelmill.aws.records.pipelines import now
from modelmill.core.digest import digest_of, sha256
from modelmill.core.errors import ModelmillError


def decide(tenant: str, key: str, request: Any, decision: str) -> str:
    """`decision` for a new key, else the decision that was kept for it.

    Raises ModelmillError (`idempotency_key_reused`, 422) if the key came first with another request.
    """
    pk, sk = f"{tenant}#idempotency", sha256(key.encode())
    record = {"request": digest_of(request), "decision": decision, "created": now()}
    try:
        table.put(pk, sk, record, new=True)
    except table.ConditionFailed:
        record = table.get(pk, sk, consistent=True) or record
    if record["request"] != digest_of(request):
        raise ModelmillError(
            "idempotency_key_reused",
            "this Idempotency-Key was used for another request",
            status=422,
            hint="use a new key for a new request",
        )
    return record["decision"]
