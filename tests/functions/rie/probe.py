"""What importing a function's handler costs and brings in: a fresh interpreter with the function's own path only."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from tests.functions.rie.runtime import START_SECONDS, Unpacked, environment

_PROGRAM = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
started = time.perf_counter()
import handler
seconds = time.perf_counter() - started
files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
print(json.dumps({"seconds": seconds, "files": files}))
"""


@dataclass(frozen=True, slots=True)
class Imported:
    """`seconds` of `import handler` in the process, and the modules that it brought in, each with its file if any."""

    seconds: float
    files: Mapping[str, str | None]

    @property
    def packages(self) -> set[str]:
        """Top-level names; for our own code `modelmill.<layer>`."""
        return {".".join(name.split(".")[: 2 if name.startswith("modelmill.") else 1]) for name in self.files}


def imported(function: Unpacked, variables: Mapping[str, str]) -> Imported:
    """Import the handler once in a new process."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", _PROGRAM, str(function.task)],
        env=environment(function, variables),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=True,
    )
    return Imported(**json.loads(done.stdout.splitlines()[-1]))
