"""The data phase: accounts that add up, splits by content, versions by content."""

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmill.core.data.accounts import REASONS, UnusableData
from modelmill.core.data.version import Rows
from modelmill.core.limits import MIN_ROWS, MIN_ROWS_PER_CLASS
from modelmill.core.model.recipe import Recipe, Split
from modelmill.frames.describe import describe, reply
from modelmill.frames.settle import sizes
from tests.unit.data.files import RUN, Outcome, flowers_csv, prepared, reviews, reviews_csv


def rows_of(result: Outcome, split: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in result.splits[split].to_pylist()]


def accounted(folder: Path, content: str) -> Outcome | Rows:
    """The prepared data, or the accounts of data that were refused."""
    try:
        return prepared(folder, content)
    except UnusableData as cause:
        return cause.rows


lines = st.lists(
    st.one_of(
        st.builds("{},{},{}".format, st.integers(0, 9), st.sampled_from(["a", "b", "", "?"]), st.sampled_from("xyz")),
        st.sampled_from(["", ",", ",,", "1,2,3,4", "5,b,", ",,x", "7,a,once", "ragged"]),
    ),
    min_size=30,
    max_size=120,
)


@settings(deadline=None, max_examples=60)
@given(lines)
def test_accounts_always_add_up(body: list[str]) -> None:
    content = "\n".join(["n,c,label", *(f"{n}.{i},b,{'pq'[i % 2]}" for i, n in enumerate(range(20))), *body])
    read = 20 + sum(line != "" for line in body)
    with TemporaryDirectory() as folder:
        result = accounted(Path(folder), content)
        if not isinstance(result, Outcome):
            assert (result.read, result.used, result.quarantined) == (read, 0, read)
            return
        splits, quarantine = result.splits, result.quarantine
    assert result.rows.read == read
    assert result.rows.used == sum(table.num_rows for table in splits.values())
    assert result.rows.quarantined == len(quarantine) == read - result.rows.used
    assert len({row["row"] for row in quarantine}) == len(quarantine)
    assert set(result.reasons) <= set(REASONS)
    for table in splits.values():
        assert set(table.column("label").to_pylist()) == set(result.labels)


def test_each_reason(tmp_path: Path) -> None:
    good = [f"{text},{label}" for text, label in reviews(40)]
    bad = {
        "ragged_row": "one cell",
        "missing_target": "a text of some words without label,",
        "no_usable_input": ",yes",
        "duplicate": good[3],
        "rare_class": "a class that comes once only,maybe",
        "cell_too_long": "x " * 600_000 + ",no",
    }
    result = prepared(tmp_path, "\n".join(["review,label", *good, *bad.values()]))
    assert [(row["row"], row["reason"]) for row in result.quarantine] == list(enumerate(bad, start=41))
    assert result.quarantine[0]["raw"] == "one cell"
    assert result.quarantine[4]["raw"] == {"review": "a class that comes once only", "label": "maybe"}
    assert max(len(json.dumps(row)) for row in result.quarantine) < 5_000


def test_conflicting_labels_are_told(tmp_path: Path) -> None:
    good = [f"{text},{label}" for text, label in reviews(40)]
    result = prepared(tmp_path, "\n".join(["review,label", *good, reviews(1)[0][0] + ",yes"]))
    assert [w.code for w in result.warnings if w.code != "few_test_rows"] == ["label_conflicts"]
    assert result.rows.quarantined == 0


def test_many_rows_without_a_target_are_told(tmp_path: Path) -> None:
    lines = ["review,label", *(f"{text},{label}" for text, label in reviews(40))]
    few, many = (prepared(tmp_path, "\n".join([*lines, *(f"no label {n}," for n in range(rows))])) for rows in (2, 10))
    assert [w.code for w in few.warnings] == ["few_test_rows"]
    assert [w.message[:13] for w in many.warnings if w.code == "unlabelled_rows"] == ["10 of 50 rows"]


def test_a_text_twice_is_a_copy_whatever_its_key(tmp_path: Path) -> None:
    rows = [f"k{number},{text},{label}" for number, (text, label) in enumerate([*reviews(40), reviews(40)[3]])]
    result = prepared(tmp_path, "\n".join(["key,review,label", *rows]))
    assert [(row["row"], row["reason"]) for row in result.quarantine] == [(41, "duplicate")]


def test_two_rows_of_a_table_are_copies_only_if_every_column_agrees(tmp_path: Path) -> None:
    dice = random.Random(4)
    rows = [f"k{number},{dice.random():.3f},{'pq'[number % 2]}" for number in range(60)]
    twins = ["k99" + rows[3].removeprefix("k3"), rows[7]]
    result = prepared(tmp_path, "\n".join(["key,size,label", *rows, *twins]))
    assert [(row["row"], row["reason"]) for row in result.quarantine] == [(62, "duplicate")]


def test_a_table_where_most_rows_repeat_keeps_them(tmp_path: Path) -> None:
    dice = random.Random(4)
    rows = [f"{dice.choice('ab')},{dice.choice('cd')},{dice.choice('ef')}" for _ in range(200)]
    result = prepared(tmp_path, "\n".join(["one,two,label", *rows]))
    assert result.rows.used == 200
    assert "repeated_rows_kept" in {w.code for w in result.warnings}


def test_the_split_depends_on_content_alone(tmp_path: Path) -> None:
    head, *body = flowers_csv(90).splitlines()
    first = prepared(tmp_path, "\n".join([head, *body]))
    random.Random(1).shuffle(body)
    second = prepared(tmp_path, "\n".join([head, *body]).replace("\n", "\r\n").encode("utf-16"))
    one, two = first.stored(), second.stored()
    for name in ("train.parquet", "validation.parquet", "test.parquet", "profile.bin"):
        assert one[name] == two[name]


def test_equal_content_gives_an_equal_version_and_equal_bytes(tmp_path: Path) -> None:
    first = prepared(tmp_path, reviews_csv())
    second = prepared(tmp_path, reviews_csv().encode("utf-8-sig"), "other.txt")
    assert first.version().version == second.version().version
    assert first.stored() == second.stored()


@pytest.mark.parametrize("recipe", [Recipe(seed=8), Recipe(split=Split(train=0.5, validation=0.25, test=0.25))])
def test_another_recipe_gives_another_version_and_split(tmp_path: Path, recipe: Recipe) -> None:
    first, second = prepared(tmp_path, reviews_csv()), prepared(tmp_path, reviews_csv(), recipe=recipe)
    assert first.version().version != second.version().version
    assert rows_of(first, "test") != rows_of(second, "test")


def test_other_rules_give_another_version(tmp_path: Path) -> None:
    """A run must not read the rows that an older release, which inferred otherwise, stored for the same file."""
    now = prepared(tmp_path, flowers_csv())
    decisions = now.decisions.model_copy(update={"inputs": now.decisions.inputs[1:]})
    before = replace(now, prepared=replace(now.prepared, decisions=decisions))
    assert before.version().version != now.version().version


def test_one_changed_cell_gives_another_version(tmp_path: Path) -> None:
    first = prepared(tmp_path, reviews_csv())
    second = prepared(tmp_path, reviews_csv().replace("piece 7", "piece seven"))
    assert first.content != second.content


def test_no_row_is_in_two_splits(tmp_path: Path) -> None:
    result = prepared(tmp_path, reviews_csv(200))
    seen = Counter(row for split in result.splits for row in rows_of(result, split))
    assert set(seen.values()) == {1}
    assert {name: table.num_rows for name, table in result.splits.items()} == {
        "train": 140,
        "validation": 30,
        "test": 30,
    }


@given(st.integers(MIN_ROWS_PER_CLASS, 10_000), st.floats(0.01, 0.98), st.floats(0.01, 0.98))
def test_split_sizes_add_up_and_reach_every_split(rows: int, one: float, two: float) -> None:
    total = one + two + 0.5
    validation, test = sizes(rows, (one / total, two / total))
    assert min(validation, test, rows - validation - test) >= 1


def test_what_is_said(tmp_path: Path) -> None:
    recipe = Recipe(model="liked")
    version, spec = describe(prepared(tmp_path, reviews_csv(), recipe=recipe).prepared, recipe, RUN)
    answer = reply(version, spec, "models")
    assert answer["run_uri"] == "s3://models/default/runs/20261124T101530-f00dfeed00/"
    assert answer["candidates"] == ["ngram-linear"]
    assert answer["compute"] == {
        "engine": "sagemaker",
        "instance_type": "ml.m5.xlarge",
        "instances": 1,
        "spot": True,
        "max_seconds": 3600,
    }
    assert (answer["model"], spec.dataset_version) == ("liked", version.version)
    assert spec.data_prefix == version.prefix == f"default/datasets/reviews/{version.version}/"
    assert spec.labels == ["no", "yes"]


def test_ten_rows_are_too_few(tmp_path: Path) -> None:
    with pytest.raises(UnusableData) as caught:
        prepared(tmp_path, reviews_csv(10))
    assert (caught.value.code, caught.value.limit) == ("too_few_rows", MIN_ROWS)
    assert str(MIN_ROWS) in caught.value.message
    assert caught.value.rows.model_dump() == {"read": 10, "used": 0, "quarantined": 10}


def test_very_many_bad_rows_take_no_more_than_their_share(tmp_path: Path) -> None:
    """A list that is searched for each of them would take an hour."""
    good = "".join(json.dumps({"review": text, "label": label}) + "\n" for text, label in reviews(60))
    result = prepared(tmp_path, good + "x\n" * 200_000, "data.jsonl")
    assert result.rows.model_dump() == {"read": 200_060, "used": 60, "quarantined": 200_000}
    assert [row["row"] for row in result.quarantine[:2]] == [61, 62]
