"""The local cloud by its own command line: start and deploy, the demo's first run and its second, in a new home."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial

from tests.perf.timing import head, milliseconds, row

CLI = (sys.executable, "-c", "from modelmill.client.cli import main; main()")
SECONDS = 600


def tables() -> Iterator[str]:
    """Seconds of each command, against the goals. The zips are built before (`make layers`)."""
    with tempfile.TemporaryDirectory() as home:
        env = os.environ | {"MODELMILL_HOME": home}
        yield head("command", "s", "goal s")
        try:
            yield row("`modelmill up`: started and deployed, empty state", _seconds(["up"], env), 25)
            yield row("`modelmill demo`, first run, the cloud is up already", _seconds(["demo"], env), 120)
            yield row("`modelmill demo`, second run, the same", _seconds(["demo"], env), 45)
            yield row("`modelmill down`, then `up` with kept state", _restart(env), "")
        finally:
            _seconds(["down"], env)


def _restart(env: dict[str, str]) -> str:
    _seconds(["down"], env)
    return _seconds(["up"], env)


def _seconds(arguments: list[str], env: dict[str, str]) -> str:
    command = [*CLI, *arguments]
    run = partial(subprocess.run, command, env=env, check=True, timeout=SECONDS, capture_output=True)
    taken = milliseconds(run)
    return f"{taken / 1_000:.1f}"
