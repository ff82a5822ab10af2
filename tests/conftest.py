"""What every test may use: a local cloud, started once per session, on a free port and in a folder of its own."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def local_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What `modelmill status --json` says of it, and its state folder as `home`."""
    from modelmill.local import cloud

    home = tmp_path_factory.mktemp("local-cloud")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (home / "cloud.json").write_text(json.dumps({"port": port}), encoding="utf-8")
    said: list[str] = []
    try:
        yield {**cloud.up(said.append, home), "home": str(home)}
    finally:
        cloud.down(said.append, home)
