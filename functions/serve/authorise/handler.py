"""API Gateway's TOKEN authoriser: `Authorization: Bearer KEY` in, an IAM policy with the key's tenant out.

The policy allows the whole stage, because API Gateway caches it per key and would else refuse the next path.
"""

import time
from typing import Any

from modelmill.aws.records import keys

CACHE_SECONDS = 60
CACHE_KEYS = 1_000
_cache: dict[str, tuple[float, dict[str, Any]]] = {}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """The policy and context `{"tenant", "key_name"}`; raises "Unauthorized" for a key that is not known."""
    scheme, _, key = event["authorizationToken"].partition(" ")
    owner = _find(key.strip()) if scheme.lower() == "bearer" else None
    if owner is None:
        # API Gateway answers 401 to exactly this message and 500 to any other exception.
        raise Exception("Unauthorized")  # noqa: TRY002
    api, stage = event["methodArn"].split("/")[:2]
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{api}/{stage}/*"}
    return {
        "principalId": owner["tenant"],
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {"tenant": owner["tenant"], "key_name": owner["name"]},
    }


def _find(key: str) -> dict[str, Any] | None:
    """Known keys are remembered for CACHE_SECONDS; unknown ones never, so that a new key works at once."""
    deadline, owner = _cache.get(key, (0.0, None))
    if owner is not None and time.monotonic() < deadline:
        return owner
    _cache.pop(key, None)
    owner = keys.find(key)
    if owner is not None:
        if len(_cache) >= CACHE_KEYS:
            _cache.clear()
        _cache[key] = (time.monotonic() + CACHE_SECONDS, owner)
    return owner
