"""The door of the local cloud: what may reach the emulator, and the two paths that the CLI uses.

The emulator trusts every caller. It listens on loopback only, but a web page that somebody visits can send requests to
loopback too (or point its own name at it): what a browser sends from elsewhere, and the emulator's reset, are refused.
"""

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any

from modelmill.local.snapshots import Snapshots

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Any, Send], Awaitable[None]]

IDENTITY = "/_modelmill/identity"
SNAPSHOT = "/_modelmill/snapshot"
_REFUSED = ("/_ministack/reset", "/_ministack/config")
_LOCAL = re.compile(r"(127\.0\.0\.1|\[::1\]|localhost|[a-z0-9.-]+\.localhost)(:\d+)?", re.IGNORECASE)


def guarded(app: App, snapshots: Snapshots, home: str) -> App:
    """`app` behind the door."""

    async def gateway(scope: Scope, receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
        elif scope["path"] == IDENTITY:
            await _reply(send, 200, {"home": home, "pid": os.getpid()})
        elif scope["path"] in _REFUSED or _from_elsewhere(scope):
            await _reply(send, 403, {"message": "the local cloud answers this machine's own programs only"})
        elif scope["path"] == SNAPSHOT:
            await asyncio.to_thread(snapshots.save_all)
            await _reply(send, 200, {"saved": True})
        else:
            if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
                snapshots.note_change()
            await app(scope, receive, send)

    return gateway


def _from_elsewhere(scope: Scope) -> bool:
    """A foreign Host (a name that resolves to loopback), or a browser's request from a page of another site."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    host, origin = headers.get("host", ""), headers.get("origin", "")
    if host and not _LOCAL.fullmatch(host):
        return True
    return bool(origin) and not _LOCAL.fullmatch(origin.partition("://")[2])


async def _reply(send: Send, status: int, body: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
