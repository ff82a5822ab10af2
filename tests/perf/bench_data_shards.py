"""The data phase by number of shards: the map's steps in so many processes, and Spark on so many cores.

`python -m tests.perf.bench_data_shards --mb 200`. The relay is a folder, the file in the page cache: what is measured
is the work and its division, not a network. A second table reckons from the time of each part what shards with a core
of their own would take, as functions have.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from modelmill.core.data.mask import Pseudonyms
from modelmill.core.model.recipe import Recipe
from modelmill.frames import sharded
from modelmill.frames.parts import list_parts
from modelmill.frames.read.unpack import DataFile
from modelmill.frames.relay import FolderRelay
from modelmill.frames.steps import Grain
from modelmill.frames.work import Work, leave_parts, leave_work, take_work
from tests.perf.bench_data import FILES, MB
from tests.perf.data_file import cached_file
from tests.perf.timing import head, row

SHARDS = (1, 2, 4, 8)
GRAIN = Grain(part=8 * MB, bucket=16 * MB)
"""Smaller than in earnest, so that eight shards have several parts each."""
KEY = Pseudonyms(b"a key of benchmarks only, 32 bytes")
Step = Callable[[FolderRelay, int, Path], object]


def _transform(relay: FolderRelay, index: int, folder: Path) -> None:
    transformed = sharded.transform_one(relay, index, KEY, folder)
    if transformed is None:
        raise RuntimeError(f"part {index} was refused")
    sharded.leave_examples(relay, index, transformed[0])


STEPS: dict[str, Step] = {"scan": sharded.scan_one, "transform": _transform, "write": sharded.write_one}


def one(relay: FolderRelay, step: str, index: int) -> float:
    """Run a step of one part or bucket; its seconds."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        STEPS[step](relay, index, Path(folder))
    return time.perf_counter() - started


def begun(file: Path, folder: Path) -> FolderRelay:
    """A relay with the work in it."""
    relay = FolderRelay(folder / "relay")
    leave_work(relay, Work([DataFile(file, file.name)], Recipe(target="tier"), [], []))
    return relay


def _listed(relay: FolderRelay) -> int:
    parts = list_parts(take_work(relay).files, GRAIN.part)
    leave_parts(relay, parts)
    return len(parts)


def finished(relay: FolderRelay, folder: Path) -> str:
    """The content of the prepared data."""
    for name in ("between", "version"):
        (folder / name).mkdir()
    return sharded.finish_all(relay, KEY, folder / "between", folder / "version").content


def mapped(file: Path, shards: int) -> tuple[float, dict[str, list[float]], str]:
    """Wall seconds, those of each step (of its parts; one for a step over all) and the content."""
    times: dict[str, list[float]] = {}

    def alone(name: str, work: Callable[[], object]) -> object:
        started = time.perf_counter()
        result = work()
        times[name] = [time.perf_counter() - started]
        return result

    with tempfile.TemporaryDirectory() as name, _pool(shards) as pool:
        list(pool.map(time.sleep, [0.5] * shards))  # every process has started
        folder, started = Path(name), time.perf_counter()
        relay = begun(file, folder)
        parts = int(str(alone("start", partial(_listed, relay))))
        times["scan"] = list(pool.map(partial(one, relay, "scan"), range(parts)))
        buckets = int(str(alone("decide", partial(sharded.decide_all, relay, GRAIN))))
        times["transform"] = list(pool.map(partial(one, relay, "transform"), range(parts)))
        alone("settle", partial(sharded.settle_all, relay))
        times["write"] = list(pool.map(partial(one, relay, "write"), range(buckets)))
        content = str(alone("finish", partial(finished, relay, folder)))
        return time.perf_counter() - started, times, content


def _pool(shards: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(shards, multiprocessing.get_context("spawn"))


def reckoned(times: dict[str, list[float]], shards: int) -> float:
    """Seconds with a core for each shard: parts go to the shard that is free first; steps over all wait for them."""
    total = 0.0
    for each in times.values():
        free = [0.0] * (shards if len(each) > 1 else 1)
        for seconds in each:
            free[free.index(min(free))] += seconds
        total += max(free)
    return total


def sparked(file: Path, cores: int) -> tuple[float, str]:
    """Wall seconds without the start of the JVM, and the content."""
    from pyspark.sql import SparkSession

    from modelmill.frames.spark import prepare_on

    spark = SparkSession.builder.master(f"local[{cores}]").getOrCreate()
    with tempfile.TemporaryDirectory() as name:
        started, relay = time.perf_counter(), begun(file, Path(name))
        prepare_on(spark, relay, lambda: KEY, grain=GRAIN)
        content = finished(relay, Path(name))
        return time.perf_counter() - started, content


def _spark(file: Path, cores: int) -> tuple[float, str]:
    """In a process of its own, because a JVM keeps its number of cores."""
    from modelmill.local.spark import environment

    command = [sys.executable, "-m", "tests.perf.bench_data_shards", "--file", str(file), "--spark", str(cores)]
    done = subprocess.run(command, env={**os.environ, **environment()}, capture_output=True, text=True, check=True)
    seconds, content = done.stdout.split()[-2:]
    return float(seconds), content


def tables(size: int) -> Iterator[str]:
    """Seconds by number of shards; every way must give the same content."""
    file = cached_file(FILES, size)
    yield head("shards", "map: wall s", "map: s, all processes", "Spark: wall s")
    contents, times = set(), {}
    for shards in SHARDS:
        wall, times[shards], content = mapped(file, shards)
        spark_wall, spark_content = _spark(file, shards)
        contents |= {content, spark_content}
        yield row(shards, f"{wall:.1f}", f"{sum(map(sum, times[shards].values())):.1f}", f"{spark_wall:.1f}")
    if len(contents) != 1:
        raise RuntimeError("the shards disagree about the content")
    yield head("shards with a core each", "reckoned s", "of which steps over all")
    alone = sum(each[0] for each in times[1].values() if len(each) == 1)
    for shards in (*SHARDS, 16, 32):
        yield row(shards, f"{reckoned(times[1], shards):.1f}", f"{alone:.1f}")
    yield f"\n{len(times[1]['scan'])} parts, {len(times[1]['write'])} buckets"
    yield ", ".join(f"{name} {sum(each):.1f}" for name, each in times[1].items())


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="The data phase by number of shards.")
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--file", type=Path, help="for one measurement of Spark")
    parser.add_argument("--spark", type=int, help="its number of cores")
    arguments = parser.parse_args()
    if arguments.spark:
        seconds, content = sparked(arguments.file, arguments.spark)
        sys.stdout.write(f"{seconds} {content}\n")
        return
    for line in tables(arguments.mb * MB):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
