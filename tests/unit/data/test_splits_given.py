"""Splits that the files or a column of an upload give, and folds."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from modelmill.core.data.accounts import UnusableData
from modelmill.core.data.split import FOLD, SPLITS
from modelmill.frames.describe import describe
from modelmill.frames.steps import WHOLE, Grain
from modelmill.frames.tally import EXACT
from tests.unit.data.files import RUN
from tests.unit.data.splitting import Files, by_label, codes, counted, shares, split, table

# As given


def cut(content: str, *places: int) -> list[str]:
    head, *body = content.splitlines()
    ends = [0, *places, len(body)]
    return ["\n".join([head, *body[start:end]]) for start, end in pairwise(ends)]


def sizes_of(content: str) -> set[float]:
    return {float(line.split(",")[1]) for line in content.splitlines()[1:]}


def test_names_of_files_give_the_split(tmp_path: Path) -> None:
    train, validation, test = cut(table(100), 60, 75)
    outcome = split(tmp_path, {"train.csv": train, "dev.csv": validation, "test.csv": test})
    for name, content in (("train", train), ("validation", validation), ("test", test)):
        assert set(outcome.splits[name].column("size").to_pylist()) == sizes_of(content)


def test_a_validation_that_is_not_given_comes_out_of_train(tmp_path: Path) -> None:
    train, test = cut(table(100), 80)
    outcome = split(tmp_path, {"train.csv": train, "test.csv": test})
    assert set(outcome.splits["test"].column("size").to_pylist()) == sizes_of(test)
    assert shares(outcome) == {"train": 66, "validation": 14, "test": 20}
    assert by_label(outcome, "validation") == {"no": 7, "yes": 7}


def test_a_test_that_is_not_given_comes_out_of_train(tmp_path: Path) -> None:
    train, validation = cut(table(100), 80)
    outcome = split(tmp_path, {"train.csv": train, "val.csv": validation})
    assert set(outcome.splits["validation"].column("size").to_pylist()) == sizes_of(validation)
    assert shares(outcome) == {"train": 66, "validation": 20, "test": 14}


def test_a_class_of_the_test_alone_is_left_out(tmp_path: Path) -> None:
    train, test = cut(table(100), 80)
    outcome = split(tmp_path, {"train.csv": train, "test.csv": test + "\nk,1.25,maybe\nl,2.25,maybe\n"})
    assert outcome.labels == ["no", "yes"]
    assert outcome.reasons == {"rare_class": 2}


def test_a_class_of_one_training_row_stays_where_all_sides_are_given(tmp_path: Path) -> None:
    train, validation, test = cut(table(100), 60, 80)
    files: Files = {
        "train.csv": train + "\nk,1.25,maybe\n",
        "val.csv": validation,
        "test.csv": test + "\nk,2.25,maybe\n",
    }
    outcome = split(tmp_path, files)
    assert outcome.rows.quarantined == 0
    assert outcome.labels == ["maybe", "no", "yes"]


def test_the_training_copy_of_a_test_row_is_left_out(tmp_path: Path) -> None:
    train, test = cut(table(100), 80)
    first = test.splitlines()[1]
    outcome = split(tmp_path, {"train.csv": f"{train}\n{first}\n", "test.csv": test})
    assert outcome.reasons == {"duplicate": 1}
    assert outcome.splits["test"].num_rows == 20
    assert counted(outcome, "given_split_overlaps") == 1
    assert outcome.quarantine[0]["row"] in (81, 1 + 20 + 80)


def test_repeated_rows_of_given_sides_are_kept_and_said_to_be(tmp_path: Path) -> None:
    train, test = cut(table(100), 80)
    files: Files = {"train.csv": f"{train}\n{test.splitlines()[1]}\n", "test.csv": test}
    outcome = split(tmp_path, files, clean={"duplicates": "keep"})
    assert outcome.rows.used == 101
    assert counted(outcome, "repeated_rows_kept") == 1
    assert "left out" not in next(w.message for w in outcome.warnings if w.code == "given_split_overlaps")


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "DEV", "Eval"), ("训练", "验证集", "测试集")])
def test_a_column_gives_the_split(tmp_path: Path, names: Sequence[str]) -> None:
    content = table(100, part=lambda number: names[0 if number < 60 else 1 if number < 80 else 2])
    outcome = split(tmp_path, content, split={"by": "given", "column": "part"})
    pieces = cut(content, 60, 80)
    for name, piece in zip(SPLITS, pieces, strict=True):
        assert set(outcome.splits[name].column("size").to_pylist()) == sizes_of(piece)
    assert "part" not in {column.name for column in outcome.decisions.inputs}


def test_rows_without_the_name_of_a_split_are_told(tmp_path: Path) -> None:
    content = table(100, part=lambda number: "test" if number < 20 else ("", "holdout?", "train")[number % 3])
    outcome = split(tmp_path, content, split={"by": "given", "column": "part"})
    assert shares(outcome) == {"train": 66, "validation": 14, "test": 20}
    assert counted(outcome, "rows_without_split") == sum(number % 3 < 2 for number in range(20, 100))


def test_a_column_must_name_splits(tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match="no value of 'part' names a split"):
        split(tmp_path, table(100, part=lambda n: "ab"[n % 2]), target="label", split={"by": "given", "column": "part"})


def test_rows_for_the_test_alone_are_refused(tmp_path: Path) -> None:
    content = table(60, part=lambda number: "test" if number % 2 else "val")
    with pytest.raises(UnusableData) as caught:
        split(tmp_path, content, target="label", split={"by": "given", "column": "part"})
    assert caught.value.code == "too_few_rows"
    assert caught.value.rows.used == 0


def test_a_recipe_overrules_the_names_of_files(tmp_path: Path) -> None:
    train, test = cut(table(100), 90)
    outcome = split(tmp_path, {"train.csv": train, "test.csv": test}, split={"by": "stratified"})
    assert shares(outcome) == {"train": 68, "validation": 16, "test": 16}
    assert set(outcome.splits["test"].column("size").to_pylist()) != sizes_of(test)


# Folds


@pytest.mark.parametrize("grain", [WHOLE, Grain(2_000, 3_000)])
def test_folds_are_even_in_each_class(tmp_path: Path, grain: Grain) -> None:
    outcome = split(tmp_path, table(203), grain, split={"folds": 5})
    rows = pa.concat_tables([outcome.splits["train"], outcome.splits["validation"]])
    assert rows.schema.field(FOLD).type == pa.int32()
    assert set(outcome.splits["test"].column(FOLD).to_pylist()) == {-1}
    assert set(outcome.splits["validation"].column(FOLD).to_pylist()) == {0}
    assert set(outcome.splits["train"].column(FOLD).to_pylist()) == {1, 2, 3, 4}
    counts = Counter(zip(rows.column("label").to_pylist(), rows.column(FOLD).to_pylist(), strict=True))
    for label in ("no", "yes"):
        each = [counts[label, fold] for fold in range(5)]
        assert max(each) - min(each) <= 1
    totals = Counter(rows.column(FOLD).to_pylist())
    assert max(totals.values()) - min(totals.values()) <= 1
    assert rows.num_rows + outcome.splits["test"].num_rows == 203


def test_many_small_classes_make_even_folds_and_are_all_learnt(tmp_path: Path) -> None:
    lines = [f"k{n},{n * 0.37 % 9:.4f},c{n % 40}" for n in range(120)]
    outcome = split(tmp_path, "\n".join(["key,size,label", *lines]), split={"folds": 5})
    totals = Counter(f for name in ("train", "validation") for f in outcome.splits[name].column(FOLD).to_pylist())
    assert totals == {0: 16, 1: 16, 2: 16, 3: 16, 4: 16}
    assert len(by_label(outcome, "train")) == len(by_label(outcome, "test")) == 40


def test_large_classes_have_folds_too(tmp_path: Path) -> None:
    outcome = split(tmp_path, table(2 * (EXACT + 500)), split={"folds": 4})
    totals = Counter(f for name in ("train", "validation") for f in outcome.splits[name].column(FOLD).to_pylist())
    assert set(totals) == set(range(4))
    assert max(totals.values()) < 1.1 * min(totals.values())


def test_folds_leave_a_given_validation_as_it_is(tmp_path: Path) -> None:
    train, validation, test = cut(table(100), 60, 80)
    outcome = split(tmp_path, {"train.csv": train, "val.csv": validation, "test.csv": test}, split={"folds": 3})
    assert shares(outcome) == {"train": 60, "validation": 20, "test": 20}
    assert Counter(outcome.splits["train"].column(FOLD).to_pylist()) == {0: 20, 1: 20, 2: 20}
    assert set(outcome.splits["validation"].column(FOLD).to_pylist()) <= {0, 1, 2}


def test_leave_one_out(tmp_path: Path) -> None:
    outcome = split(tmp_path, table(60), Grain(1_000, 500), split={"folds": "leave-one-out"})
    folds = [f for name in ("train", "validation") for f in outcome.splits[name].column(FOLD).to_pylist()]
    assert sorted(folds) == list(range(len(folds)))
    assert shares(outcome) == {"train": 51, "validation": 1, "test": 8}


def test_leave_one_group_out(tmp_path: Path) -> None:
    content = table(120, patient=lambda number: f"p{number % 12}")
    recipe: dict[str, Any] = {
        "mask": {"columns": {"patient": "hash"}},
        "split": {"group": "patient", "folds": "leave-one-out"},
    }
    outcome = split(tmp_path, content, **recipe)
    folds = defaultdict(set)
    for name in ("train", "validation"):
        for row in outcome.splits[name].to_pylist():
            folds[row["patient"]].add(row[FOLD])
    assert sorted(numbers for each in folds.values() for numbers in each) == list(range(10))


def test_more_folds_than_groups_are_refused(tmp_path: Path) -> None:
    content = table(60, patient=lambda number: f"p{number % 4}")
    with pytest.raises(UnusableData, match="10 folds need as many different groups outside the test; there are 3"):
        split(tmp_path, content, target="label", split={"group": "patient", "folds": 10})


def test_leave_one_out_has_a_limit(tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match="trains a model for each of 1,002 rows"):
        split(tmp_path, table(1002), split={"folds": "leave-one-out"})


def test_a_column_with_the_name_of_folds_is_renamed(tmp_path: Path) -> None:
    outcome = split(tmp_path, table(60).replace("size", FOLD), split={"folds": 3})
    names = outcome.splits["train"].column_names
    assert len(names) == len(set(names)) == 3
    assert "column_renamed" in codes(outcome)


def test_control_characters_in_names_are_no_danger(tmp_path: Path) -> None:
    outcome = split(tmp_path, table(60).replace("size", "\x1fkey"))
    assert [column.name for column in outcome.decisions.inputs] == ["key_2"]
    assert shares(outcome)["train"] == 44


def test_validation_rows_drawn_by_chance_may_be_mixed_with_training_rows_and_given_ones_not(tmp_path: Path) -> None:
    for given, mixable in (("test", True), ("validation", False)):
        lines = [
            f"{n}.5,{'ab'[n % 2]},{given if n % 5 == 0 else 'test' if n % 5 == 1 else 'train'}" for n in range(100)
        ]
        outcome = split(
            tmp_path, "\n".join(["size,label,part", *lines]), split={"by": "given", "column": "part"}, target="label"
        )
        assert describe(outcome.prepared, outcome.recipe, RUN)[1].mixable is mixable
