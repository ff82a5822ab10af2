"""The data phase beside a bare read and write, pandas, polars and Hugging Face datasets: seconds, CPU, memory.

`python -m tests.perf.bench_data --mb 100`, or `--gb 1`. One fresh process a measurement, all taking turns. Peers take
part if the venv of `peers/data_requirements.txt` is there.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.perf.data_file import cached_file
from tests.perf.timing import head, row

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "tests" / "perf" / "peers"
VENV = ROOT / "build" / "data-peers-venv" / "bin" / "python"
FILES = Path(os.environ.get("MODELMILL_HOME", tempfile.gettempdir())) / "bench-data"
MB = 1_000_000
SECONDS = 1_800
PAUSE = 0.2
"""Seconds between samples, each of which holds the measured process for some milliseconds."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process and its children; memory is the peak of their proportional sets, in bytes."""

    seconds: float
    cpu: float
    memory: int


def commands() -> dict[str, list[str]]:
    """Name → command line, which takes the file and a folder."""
    floor = [sys.executable, str(PEERS / "data_floor.py")]
    known = {
        "floor: read_csv, write_table": [*floor, "table"],
        "floor, streamed": [*floor, "stream"],
        # With the environment of the function that does this on AWS.
        "modelmill": ["env", "MALLOC_ARENA_MAX=1", sys.executable, "-m", "tests.perf.data_phase"],
    }
    if VENV.exists():
        known |= {name: [str(VENV), str(PEERS / f"data_{name}.py")] for name in ("pandas", "polars", "datasets")}
    return known


def tables(size: int = 100 * MB, rounds: int = 3, names: Sequence[str] = ()) -> Iterator[str]:
    """One row a contender: medians, and the ratios of the medians."""
    file = cached_file(FILES, size)
    chosen = {name: command for name, command in commands().items() if not names or name.startswith(tuple(names))}
    costs: dict[str, list[Cost]] = {name: [] for name in chosen}
    for _ in range(rounds):
        for name, command in chosen.items():
            costs[name].append(measure(command, file))
    medians = {
        name: Cost(*(statistics.median(getattr(cost, field) for cost in found) for field in Cost.__slots__))
        for name, found in costs.items()
    }
    floor, ours = (
        next((medians[name] for name in medians if name.startswith(start)), None) for start in ("floor", "m")
    )
    yield f"\n{file.stat().st_size / MB:,.0f} MB, medians of {rounds}."
    yield head("", "wall s", "CPU s", "peak MB", "wall / floor", "CPU / floor", "wall / ours")
    for name, cost in medians.items():
        against = [f"{cost.seconds / floor.seconds:.1f}", f"{cost.cpu / floor.cpu:.1f}"] if floor else ["", ""]
        ratio = f"{cost.seconds / ours.seconds:.2f}" if ours else ""
        yield row(name, f"{cost.seconds:.2f}", f"{cost.cpu:.2f}", f"{cost.memory / MB:,.0f}", *against, ratio)


def measure(command: Sequence[str], file: Path) -> Cost:
    """Run it once in a fresh process with an empty folder; the page cache holds the file."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        file.open("rb").read(1)
        started, peak = time.perf_counter(), 0
        process = subprocess.Popen([*command, str(file), folder], stdout=subprocess.DEVNULL, cwd=ROOT)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            peak = max(peak, memory(process.pid), high_water(process.pid))
            if time.perf_counter() - started > SECONDS:
                process.kill()
            time.sleep(PAUSE)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, list(command))
        return Cost(seconds, usage.ru_utime + usage.ru_stime, peak)


def memory(pid: int) -> int:
    """Bytes of the proportional set of a process and all below it."""
    total, waiting = 0, [pid]
    while waiting:
        each = Path(f"/proc/{waiting.pop()}")
        try:
            lines = (each / "smaps_rollup").read_text().splitlines()
            waiting += [
                int(child) for task in (each / "task").iterdir() for child in (task / "children").read_text().split()
            ]
        except (OSError, ProcessLookupError):
            continue  # it has ended meanwhile
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def high_water(pid: int) -> int:
    """The kernel's own peak, in bytes: of one process, but without gaps between samples."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (OSError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf.bench_data")
    parser.add_argument("--mb", type=int, default=100)
    parser.add_argument("--gb", type=float, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("names", nargs="*", help="only these contenders")
    chosen = parser.parse_args()
    size = int(chosen.gb * 1_000 * MB) or chosen.mb * MB
    for line in tables(size, chosen.rounds, chosen.names):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
