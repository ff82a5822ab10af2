"""The model phase on real data sets, beside what people would train instead: the tables of docs/benchmarks.md.

`python -m tests.perf.bench_models [NAME …]`, or all of them as a part of `make bench`; MODELMILL_BENCH_DATA names the
folder of the files (`model_sets.py`). One fresh process for the data phase, one for all jobs of a run, one for peers.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.perf.model_sets import SETS, DataSet
from tests.perf.timing import head, row

VARIABLE = "MODELMILL_BENCH_DATA"
_SECONDS = 3_600


def tables(names: Sequence[str] = ()) -> Iterator[str]:
    """A row a data set."""
    data = os.environ.get(VARIABLE)
    if data is None:
        yield f"left out: set {VARIABLE} to a folder with the files that tests/perf/model_sets.py names"
        return
    yield head(
        "set",
        "rows: train, validation, test",
        "score",
        "ours (95 %)",
        "goal",
        "best found",
        "chosen",
        "CPU s, all jobs",
        "peak MB",
        "model KB",
        "ms a row",
        "peers on the same rows: score, CPU s",
    )
    for entry in SETS:
        if not names or entry.name in names:
            yield _line(entry, data)


def _line(entry: DataSet, data: str) -> str:
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work, "version")
        _run("tests.perf.model_run", "prepare", entry.name, data, str(folder))
        ours = json.loads(_run("tests.perf.model_run", "train", entry.name, data, str(folder)))
        peers = json.loads(_run("tests.perf.peers.model_peers", str(folder), entry.score))
    return _cells(entry, ours, peers)


def _cells(entry: DataSet, ours: dict[str, Any], peers: dict[str, Any]) -> str:
    found = ours["metrics"][entry.score]
    splits = ", ".join(f"{rows:,}" for rows in ours["splits"].values())
    return row(
        entry.name,
        splits,
        entry.score,
        f"**{found['value']:.4f}** ({found['low']:.4f} – {found['high']:.4f})",
        entry.goal,
        entry.peer,
        f"{ours['candidate']}, {ours['optimise']['chosen']}",
        f"{sum(ours['cpu'].values()):.1f}",
        ours["peak_mb"],
        round(ours["model_bytes"] / 1_000),
        ours["row_ms"],
        "; ".join(f"{name} {each['score']:.4f}, {each['cpu']:.1f}" for name, each in peers.items()),
    )


def _run(module: str, *arguments: str) -> str:
    """The last line of what a module prints; raises CalledProcessError with what it said."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
        env={**os.environ, "MODELMILL_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)}:\n{done.stderr[-4_000:]}")
    return done.stdout.splitlines()[-1] if done.stdout else ""


if __name__ == "__main__":
    for line in tables(sys.argv[1:]):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
