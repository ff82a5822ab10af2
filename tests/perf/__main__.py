"""`python -m tests.perf [bundles] [predict] [local] [server] [data]`: prints the tables of docs/benchmarks.md."""

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator

from tests.perf import bench_bundles, bench_data, bench_local, bench_models, bench_predict_rie, bench_server

BENCHES: dict[str, Callable[[], Iterator[str]]] = {
    "bundles": bench_bundles.tables,
    "predict": bench_predict_rie.tables,
    "local": bench_local.tables,
    "server": bench_server.tables,
    "data": bench_data.tables,
    "models": bench_models.tables,
}


def main() -> None:
    """Run the named benches, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf")
    parser.add_argument("bench", nargs="*", metavar="|".join(BENCHES))
    names = parser.parse_args().bench or list(BENCHES)
    if unknown := set(names) - set(BENCHES):
        parser.error(f"no bench named {unknown.pop()!r}")
    for name in names:
        machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}"
        say(f"### {name}\n\n{machine}, load average {os.getloadavg()[0]:.1f} before the first measurement.")
        for line in BENCHES[name]():
            say(line)
        say("")


def say(line: str) -> None:
    """Print at once: a bench takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


main()
