"""Three engines, one result: the version and every stored byte are equal, whatever the engine and the shards."""

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from modelmill.core.data.accounts import UnusableData
from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Recipe
from modelmill.frames import prepare, sharded
from modelmill.frames.describe import describe
from modelmill.frames.finish import Prepared
from modelmill.frames.parts import list_parts
from modelmill.frames.prepare import prepare_unpacked
from modelmill.frames.read.unpack import DataFile, Unpacked
from modelmill.frames.relay import FolderRelay
from modelmill.frames.steps import Grain
from modelmill.frames.work import Work, leave_parts, leave_work, take_work
from modelmill.frames.worker import Helper, Worker
from modelmill.frames.write import write
from tests.unit.data.files import PSEUDONYMS, RUN
from tests.unit.data.mixed import mixed_csv

GRAIN = Grain(part=12_000, bucket=20_000)
RECIPES = {"text": Recipe(target="answer"), "table": Recipe(target="answer", task="tabular-classification")}
Stored = tuple[str, dict[str, bytes]]


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> DataFile:
    path = tmp_path_factory.mktemp("upload") / "mixed.csv"
    path.write_bytes(mixed_csv())
    return DataFile(path, "mixed.csv")


def stored(prepared: Prepared, recipe: Recipe, target: Path, rows: Path | None = None) -> Stored:
    version, _ = describe(prepared, recipe, RUN)
    write(prepared, version, target)
    files = [*target.iterdir(), *(rows.iterdir() if rows else ())]
    return version.version, {path.name: path.read_bytes() for path in files}


def on_one_machine(upload: DataFile, recipe: Recipe, folder: Path) -> Stored:
    target = folder / "version"
    target.mkdir(parents=True)
    work = folder / "work"
    work.mkdir()
    return stored(prepare_unpacked(Unpacked([upload]), recipe, PSEUDONYMS, work, target, grain=GRAIN), recipe, target)


def begun(upload: DataFile, recipe: Recipe, folder: Path) -> FolderRelay:
    folder.mkdir(parents=True, exist_ok=True)
    relay = FolderRelay(folder / "relay")
    leave_work(relay, Work([upload], recipe, [], []))
    return relay


def finished(relay: FolderRelay, recipe: Recipe, folder: Path) -> Stored:
    target, between = folder / "version", folder / "finish"
    target.mkdir()
    between.mkdir()
    return stored(sharded.finish_all(relay, PSEUDONYMS, between, target), recipe, target, relay.folder / "rows")


def mapped(upload: DataFile, recipe: Recipe, folder: Path, seed: int, times: int = 1) -> Stored:
    """Every step over parts and buckets in an order of its own, each so many times."""
    dice, relay = random.Random(seed), begun(upload, recipe, folder)
    places = (folder / f"step-{number}" for number in range(10_000))

    def shuffled(count: int) -> Iterator[tuple[int, Path]]:
        for index in dice.sample(list(range(count)) * times, count * times):
            place = next(places)
            place.mkdir()
            yield index, place

    parts = list_parts(take_work(relay).files, GRAIN.part)
    leave_parts(relay, parts)
    for index, place in shuffled(len(parts)):
        sharded.scan_one(relay, index, place)
    (buckets,) = {sharded.decide_all(relay, GRAIN) for _ in range(times)}
    for index, place in shuffled(len(parts)):
        transformed = sharded.transform_one(relay, index, PSEUDONYMS, place)
        assert transformed is not None
        sharded.leave_examples(relay, index, transformed[0])
    assert [sharded.settle_all(relay) for _ in range(times)] == [buckets] * times
    for bucket, place in shuffled(buckets):
        sharded.write_one(relay, bucket, place)
    return finished(relay, recipe, folder)


@pytest.mark.parametrize("kind", RECIPES)
def test_steps_in_any_order_and_run_twice_give_what_one_machine_gives(
    upload: DataFile, kind: str, tmp_path: Path
) -> None:
    one = on_one_machine(upload, RECIPES[kind], tmp_path / "one")
    assert len(list_parts([upload], GRAIN.part)) > 4
    assert sum(name.startswith("train") for name in one[1]) > 2
    assert {"quarantine.jsonl", "profile.json", "profile.bin", "report.html"} <= set(one[1])
    for seed, times in ((1, 1), (2, 2)):
        assert_equal(mapped(upload, RECIPES[kind], tmp_path / str(seed), seed, times), one)


@pytest.mark.parametrize("cores", [2, 4])
def test_helpers_in_other_processes_change_nothing(
    upload: DataFile, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = on_one_machine(upload, RECIPES["text"], tmp_path / "alone")
    monkeypatch.setattr(prepare, "HELPED_BYTES", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    hired: list[Helper] = []

    def hire(worker: Worker) -> Helper:
        hired.append(Helper(worker))
        return hired[-1]

    monkeypatch.setattr(prepare, "Helper", hire)
    assert_equal(on_one_machine(upload, RECIPES["text"], tmp_path / "helped"), alone)
    assert len(hired) == cores - 1
    assert [helper.ended for helper in hired] == [True] * (cores - 1)


def test_what_a_helper_refuses_is_refused_and_its_death_is_told(tmp_path: Path) -> None:
    path = tmp_path / "damaged.csv"
    path.write_text("text,label\n" + "a,b\n" * 10)
    parts = list_parts([DataFile(path, "damaged.csv")])
    helper = Helper(Worker([replace(parts[0], layout="parquet")], Recipe().clean, PSEUDONYMS, tmp_path, tmp_path))
    with pytest.raises(Rejected) as refusal:
        helper.scan(0)
    assert refusal.value.code == "damaged_file"
    with pytest.raises(RuntimeError, match="helps to prepare data ended"):
        helper.scan(1)
    helper.close()
    assert helper.ended


def assert_equal(found: Stored, expected: Stored) -> None:
    assert found[0] == expected[0]
    assert sorted(found[1]) == sorted(expected[1])
    assert [name for name, data in found[1].items() if data != expected[1][name]] == []


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    pytest.importorskip("pyspark")
    from modelmill.local.spark import environment

    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment().items():
            patch.setenv(name, value)
        from pyspark.sql import SparkSession

        session = SparkSession.builder.master("local[2]").appName("engines").getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()


@pytest.mark.spark
# Spark's client asks the distutils of old for versions, and leaves its sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore:distutils Version classes:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("partitions", [1, 2, 4])
def test_spark_gives_what_one_machine_gives(spark: Any, upload: DataFile, partitions: int, tmp_path: Path) -> None:
    from modelmill.frames.spark import prepare_on

    recipe = RECIPES["text"]
    relay = begun(upload, recipe, tmp_path / "spark")
    prepare_on(spark, relay, partial(lambda: PSEUDONYMS), partitions, GRAIN)
    assert_equal(finished(relay, recipe, tmp_path / "spark"), on_one_machine(upload, recipe, tmp_path / "one"))


def test_what_one_machine_refuses_the_steps_refuse_with_the_rows_counted(upload: DataFile, tmp_path: Path) -> None:
    recipe = Recipe(target="nothing")
    with pytest.raises(UnusableData) as one:
        on_one_machine(upload, recipe, tmp_path / "one")
    with pytest.raises(UnusableData) as other:
        mapped(upload, recipe, tmp_path / "map", 1)
    assert (one.value.as_dict(), one.value.rows) == (other.value.as_dict(), other.value.rows)
    assert one.value.rows.read > 900
