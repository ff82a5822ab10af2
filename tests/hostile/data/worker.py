"""A child that runs the data phase: an upload a line in, paths and names; what became of it, as a line of JSON, out.

It is reused for many uploads. Memory is measured from the size of the process before each, and with its children.
"""

import json
import resource
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from modelmill.core.data.accounts import UnusableData
from modelmill.core.errors import Rejected
from tests.perf.data_phase import run

GIB = 1 << 30
CAP = 3 * GIB
"""Of private memory: so that a failing test does not take the machine with it."""


def main() -> None:
    """Serve until the input ends."""
    resource.setrlimit(resource.RLIMIT_DATA, (CAP, CAP))
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        files = [(Path(path), name) for path, name in json.loads(line)]
        Path("/proc/self/clear_refs").write_text("5")  # the high water mark begins anew
        before = memory("VmRSS")
        answer = outcome(files)
        answer["memory"] = memory("VmHWM") - before
        # The largest child so far: there is no high water mark of a child alone.
        answer["children"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def outcome(files: list[tuple[Path, str]]) -> dict[str, Any]:
    """What the data phase says, checked against the quarantine that it wrote."""
    with tempfile.TemporaryDirectory(dir=files[0][0].parent) as folder:
        try:
            version = run(files, Path(folder))
        except Rejected as refusal:
            rows = refusal.rows.model_dump() if isinstance(refusal, UnusableData) else None
            size = len(json.dumps(refusal.as_dict()))
            return {"outcome": refusal.code, "rows": rows, "message": refusal.message[:300], "size": size}
        except BaseException as error:  # noqa: BLE001 - whatever else comes out is what the test is about
            return {"outcome": "crash", "message": repr(error)[:500], "trace": traceback.format_exc()[-3_000:]}
        lines = Path(folder, "quarantine.jsonl").read_text("utf-8").splitlines()
        quarantine = [json.loads(line) for line in lines]
        numbers = [row["row"] for row in quarantine]
        return {
            "outcome": "ok",
            "rows": version["rows"],
            "splits": version["splits"],
            "reasons": version["quarantine"],
            "written": Counter(row["reason"] for row in quarantine),
            "numbers": {
                "distinct": len(set(numbers)),
                "least": min(numbers, default=1),
                "most": max(numbers, default=1),
            },
            "warnings": [warning["code"] for warning in version["warnings"]],
        }


def memory(field: str) -> int:
    """Bytes, from /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
