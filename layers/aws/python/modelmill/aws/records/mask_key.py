"""The key of a tenant's pseudonyms: made on first use, the same for every run after that, never shown or logged."""

import secrets

from modelmill.aws.records import table
from modelmill.aws.records.pipelines import now
from modelmill.core.data.mask import Pseudonyms

_BYTES = 32


def pseudonyms(tenant: str) -> Pseudonyms:
    """The tenant's pseudonyms. Of two runs that are first at once, one makes the key and the other reads it."""
    pk, sk = f"{tenant}#mask", "key"
    known = table.get(pk, sk, consistent=True)
    if known is None:
        known = {"key": secrets.token_hex(_BYTES), "created": now()}
        try:
            table.put(pk, sk, known, new=True)
        except table.ConditionFailed:
            return pseudonyms(tenant)
    return Pseudonyms(bytes.fromhex(known["key"]))
