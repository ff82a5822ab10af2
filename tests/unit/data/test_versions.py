"""A whole upload: class names, cells, versions and measures."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmill.core.data.split import SPLITS
from modelmill.frames.steps import Grain
from tests.unit.data.files import reviews
from tests.unit.data.splitting import as_csv, codes, shares, split, texts, written

# Class names and cells


def test_spellings_of_a_class_are_one(tmp_path: Path) -> None:
    rows = [(f"{n}.{n * 13 % 97}", ("<=50K", "<=50K.", " <=50k", ">50K", ">50K.")[n % 5]) for n in range(100)]
    outcome = split(tmp_path, as_csv(rows, "size", "income"))
    assert outcome.labels == ["<=50K", ">50K"]
    assert "labels_unified" in codes(outcome)
    kept = split(tmp_path, as_csv(rows, "size", "income"), clean={"labels": "keep"})
    assert kept.labels == ["<=50K", "<=50K.", "<=50k", ">50K", ">50K."]


@pytest.mark.parametrize(
    ("written_as", "labels"),
    [
        (("1", "1.0", "0", "0.0"), ["0", "1"]),
        (("True", "false", "TRUE", "False"), ["false", "true"]),
        (("None", "Some", "Marked", "Some"), ["Marked", "None", "Some"]),
    ],
)
def test_names_of_classes(tmp_path: Path, written_as: tuple[str, ...], labels: list[str]) -> None:
    rows = [(f"{n}.{n * 13 % 97}", written_as[n % 4]) for n in range(80)]
    assert split(tmp_path, as_csv(rows, "size", "label")).labels == labels


def test_none_among_numbers_is_missing(tmp_path: Path) -> None:
    rows = [(f"{n}.{n * 13 % 97}", "None" if n < 4 else str(n % 2)) for n in range(80)]
    outcome = split(tmp_path, as_csv(rows, "size", "label"))
    assert (outcome.labels, outcome.reasons) == (["0", "1"], {"missing_target": 4})


@pytest.mark.parametrize(
    ("how", "share", "stripped"), [("auto", 1, True), ("auto", 80, False), ("strip", 40, True), ("keep", 1, False)]
)
def test_html(tmp_path: Path, how: str, share: int, stripped: bool) -> None:
    rows = [
        (f"<p>{text} &amp; more</p>" if n % share == 0 else text, label) for n, (text, label) in enumerate(reviews(80))
    ]
    outcome = split(tmp_path, as_csv(rows, "review", "label"), clean={"html": how})
    kept = [text for name in SPLITS for text in outcome.splits[name].column("review").to_pylist()]
    assert any("<p>" in text for text in kept) is not stripped
    assert any(text.endswith(" & more") for text in kept) is stripped


@pytest.mark.parametrize(("how", "found"), [("nfc", "ﬁne ２３"), ("nfkc", "fine 23"), ("keep", "ﬁne ２３")])
def test_unicode_forms(tmp_path: Path, how: str, found: str) -> None:
    rows = [(f"{text} ﬁne ２３", label) for text, label in reviews(40)]
    outcome = split(tmp_path, as_csv(rows, "review", "label"), clean={"unicode": how})
    assert all(text.endswith(found) for text in outcome.splits["train"].column("review").to_pylist())


@pytest.mark.parametrize("how", ["strip", "keep"])
def test_control_characters(tmp_path: Path, how: str) -> None:
    bell = "\x07"
    rows = [(f"{text}\u200b{bell if n < 9 else ''} bell", label) for n, (text, label) in enumerate(reviews(40))]
    outcome = split(tmp_path, as_csv(rows, "review", "label"), clean={"control": how})
    stored_texts = [text for name in SPLITS for text in outcome.splits[name].column("review").to_pylist()]
    assert sum("\u200b" in text for text in stored_texts) == (40 if how == "keep" else 0)
    assert sum(bell in text for text in stored_texts) == (9 if how == "keep" else 0)


def test_formulas_are_flagged_not_changed(tmp_path: Path) -> None:
    rows = [(f"=HYPERLINK(A{n}) {text}", label) for n, (text, label) in enumerate(reviews(40))]
    outcome = split(tmp_path, as_csv(rows, "review", "label"))
    assert outcome.actions["review", "formula"] == 40
    assert all(text.startswith("=HYPER") for text in outcome.splits["test"].column("review").to_pylist())


# Versions


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "tsv"])
def test_the_same_rows_in_another_format_are_the_same_version(tmp_path: Path, form: str) -> None:
    rows = [dict(zip(("review", "label"), pair, strict=True)) for pair in reviews(60)]
    first, second = (split(tmp_path, {f"d.{each}": written(rows, each)}) for each in ("csv", form))
    assert first.version().version == second.version().version
    assert first.stored()["train.parquet"] == second.stored()["train.parquet"]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"target": "label"},
        {"inputs": ["review"]},
        {"task": "text-classification"},
        {"split": {"by": "random"}},
        {"split": {"folds": 3}},
        {"split": {"train": 0.6, "validation": 0.2, "test": 0.2}},
        {"clean": {"unicode": "nfkc"}},
        {"clean": {"control": "keep"}},
        {"clean": {"html": "keep"}},
        {"clean": {"labels": "keep"}},
        {"clean": {"duplicates": "drop"}},
        {"clean": {"near_duplicates": "drop"}},
        {"mask": {"default": False}},
    ],
)
def test_another_recipe_is_another_version(tmp_path: Path, change: dict[str, Any]) -> None:
    assert split(tmp_path, texts()).version().version != split(tmp_path, texts(), **change).version().version


@pytest.mark.parametrize("change", [{"model": "m"}, {"prepare": {"engine": "map"}}, {"compute": {"spot": False}}])
def test_what_does_not_change_rows_does_not_change_the_version(tmp_path: Path, change: dict[str, Any]) -> None:
    assert split(tmp_path, texts()).version().version == split(tmp_path, texts(), **change).version().version


# Measures


def test_a_version_of_measures(tmp_path: Path) -> None:
    dice = random.Random(8)
    rows = [(f"{dice.random():.5f}", "ab"[n % 2], f"{dice.gauss(9, 2):.5f}") for n in range(300)]
    rows += [("0.5", "a", ""), ("0.25", "b", "unknown"), ("0.125", "b", "?")]
    outcome = split(tmp_path, as_csv(rows, "size", "kind", "price"), target="price", task="tabular-regression")
    version = outcome.version()
    assert (version.task, version.labels, version.rows.used) == ("tabular-regression", [], 300)
    assert version.quarantine == {"missing_target": 3}
    assert [line["raw"]["price"] for line in outcome.quarantine] == [None, "unknown", None]
    assert all(side.schema.field("price").type == pa.float64() for side in outcome.splits.values())
    files = outcome.stored()
    assert json.loads(files["profile.json"])["split"]["by"] == "random"
    assert b"price" in files["report.html"]
    assert {"train.parquet", "validation.parquet", "test.parquet", "version.json", "profile.bin"} <= files.keys()


@pytest.mark.parametrize("recipe", [{"split": {"group": "kind"}}, {"split": {"time": "at"}}, {"split": {"folds": 3}}])
def test_measures_by_other_splits(tmp_path: Path, recipe: dict[str, Any]) -> None:
    dice = random.Random(8)
    rows = [
        (f"{dice.random():.5f}", f"k{n % 20}", f"2024-01-{1 + n % 28:02}", f"{dice.gauss(9, 2):.5f}")
        for n in range(300)
    ]
    outcome = split(tmp_path, as_csv(rows, "size", "kind", "at", "price"), target="price", **recipe)
    assert outcome.rows.used == 300
    validation = 85 if "folds" in recipe["split"] else 45
    assert abs(shares(outcome)["validation"] - validation) <= 10
    assert abs(shares(outcome)["test"] - 45) <= 10
    assert b"<html" in outcome.stored()["report.html"]


def test_empty_buckets_are_files_of_the_same_columns(tmp_path: Path) -> None:
    recipe = {"clean": {"duplicates": "keep"}, "split": {"folds": 2}}
    outcome = split(tmp_path, texts(*reviews(1) * 400, rows=20), Grain(1_000, 500), **recipe)
    assert outcome.decisions.buckets > 40
    schemas = {pq.read_schema(path).remove_metadata().to_string() for path in outcome.folder.glob("*.parquet")}
    assert len(schemas) == 1
    assert sum(shares(outcome).values()) == 420
