"""Content addresses: bytes and JSON values in, lower-case hex sha256 (FIPS 180-4) out."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces (close to RFC 8785): equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256(data: bytes | Iterable[bytes]) -> str:
    """Digest of one buffer or of a stream of chunks."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    digest = hashlib.sha256()
    for chunk in data:
        digest.update(chunk)
    return digest.hexdigest()


def digest_of(value: Any) -> str:
    """Digest of a JSON value's canonical form."""
    return sha256(canonical_json(value))
