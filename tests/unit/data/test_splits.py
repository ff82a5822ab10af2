"""Where rows fall: by class, at random, by group, by time, as given, and in folds.

What is promised. A row's place follows from what a model sees in it (its *fall*, a hash under the recipe's seed; the
group or the time where the split is by these), never from its place in the upload, its file's format or the sizes of
parts. Of a class with at most 4,096 different rows the sides are exact: the rows are ranked by their falls and the
ranks are cut, so that added rows move the cuts, and the few rows between an old cut and the new one change sides.
Of a larger class the cuts are fixed shares of the range of falls: added rows move none. Texts that are equal but for
case, spaces and punctuation have one fall, and so one side and one fold; so have rows of a table with equal inputs,
unless many repeat (then their numbers are mixed into their falls). With a group or a time, equal values have one fall.
"""

import gzip
import io
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from modelmill.core.data.accounts import UnusableData
from modelmill.core.data.split import FOLD, SPLITS
from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Recipe, parse_recipe
from modelmill.frames.prepare import prepare_unpacked
from modelmill.frames.read.unpack import unpack
from modelmill.frames.steps import WHOLE, Grain
from modelmill.frames.tally import EXACT
from tests.unit.data.files import PSEUDONYMS, Outcome, reviews, reviews_csv

Files = dict[str, str | bytes]


def split(folder: Path, files: Files | str, grain: Grain = WHOLE, **recipe: Any) -> Outcome:
    """The outcome of an upload of these files (one CSV if it is a text) under a recipe of these fields."""
    place = Path(mkdtemp(dir=folder))
    work, target = place / "work", place / "version"
    (work / "unpacked").mkdir(parents=True)
    target.mkdir()
    paths = []
    for number, (name, content) in enumerate(({"data.csv": files} if isinstance(files, str) else files).items()):
        path = place / f"{number}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        paths.append((path, name))
    read = parse_recipe(recipe)
    unpacked = unpack(paths, work / "unpacked")
    return Outcome(prepare_unpacked(unpacked, read, PSEUDONYMS, work, target, grain), read, target)


def table(rows: int, seed: int = 3, **columns: Callable[[int], Any]) -> str:
    """A CSV file of a random number, a key, other columns and a label."""
    dice = random.Random(seed)
    lines = [",".join(["key", "size", *columns, "label"])]
    for number in range(rows):
        cells = [f"k{number}", f"{dice.gauss(number % 2, 1):.5f}", *(str(make(number)) for make in columns.values())]
        lines.append(",".join([*cells, "no" if number % 2 else "yes"]))
    return "\n".join(lines) + "\n"


def sides(outcome: Outcome, column: str) -> dict[Any, set[str]]:
    """Value of a column → the splits in which it is stored."""
    found: dict[Any, set[str]] = defaultdict(set)
    for name, rows in outcome.splits.items():
        for value in rows.column(column).to_pylist():
            found[value].add(name)
    return found


def shares(outcome: Outcome) -> dict[str, int]:
    return {name: rows.num_rows for name, rows in outcome.splits.items()}


def codes(outcome: Outcome) -> set[str]:
    return {warning.code for warning in outcome.warnings}


# By class


def test_each_class_has_its_exact_share(tmp_path: Path) -> None:
    sizes = {"a": 100, "b": 40, "c": 7, "d": 3}
    lines = [f"{c}{n}.{n * 17 % 101},{n + 0.5},{c}" for c, many in sizes.items() for n in range(many)]
    outcome = split(tmp_path, "\n".join(["key,size,label", *lines]))
    counts = {name: Counter(rows.column("label").to_pylist()) for name, rows in outcome.splits.items()}
    assert counts["train"] == {"a": 70, "b": 28, "c": 5, "d": 1}
    assert counts["validation"] == counts["test"] == {"a": 15, "b": 6, "c": 1, "d": 1}


def test_large_classes_have_about_their_share(tmp_path: Path) -> None:
    rows = 2 * (EXACT + 900)
    outcome = split(tmp_path, table(rows))
    for name, share in (("train", 0.7), ("validation", 0.15), ("test", 0.15)):
        for many in Counter(outcome.splits[name].column("label").to_pylist()).values():
            # Five standard deviations of a binomial.
            assert abs(many - share * rows / 2) < 5 * (rows / 2 * share * (1 - share)) ** 0.5


def test_rows_of_few_different_inputs_reach_every_side(tmp_path: Path) -> None:
    lines = [f"k{n},{'red' if n % 3 else 'blue'},{'no' if n % 2 else 'yes'}" for n in range(200)]
    outcome = split(tmp_path, "\n".join(["key,colour,label", *lines]))
    assert shares(outcome) == {"train": 140, "validation": 30, "test": 30}
    assert outcome.rows.quarantined == 0


def test_a_share_of_almost_nothing_is_a_share(tmp_path: Path) -> None:
    outcome = split(tmp_path, table(60), split={"train": 1e-12, "validation": 0.5, "test": 0.5})
    assert set(by_label(outcome, "train")) == {"no", "yes"}


def by_label(outcome: Outcome, name: str) -> Counter[str]:
    return Counter(outcome.splits[name].column("label").to_pylist())


# At random


def test_measures_fall_at_random(tmp_path: Path) -> None:
    dice = random.Random(5)
    lines = [f"{dice.random():.4f},{dice.gauss(0, 1):.6f}" for _ in range(200)]
    outcome = split(tmp_path, "\n".join(["size,price", *lines]), target="price")
    assert outcome.decisions.by == "random"
    assert shares(outcome) == {"train": 140, "validation": 30, "test": 30}
    assert outcome.splits["train"].schema.field("price").type == pa.float64()
    low = [
        sum(value < 0 for value in rows.column("price").to_pylist()) / rows.num_rows for rows in outcome.splits.values()
    ]
    assert all(0.2 < share < 0.8 for share in low)


def test_classes_at_random_have_no_shares_of_their_own(tmp_path: Path) -> None:
    content = table(100) + "k999,9.5,once\n"
    outcome = split(tmp_path, content, split={"by": "random"})
    assert outcome.rows.used == 101
    assert "once" in outcome.labels


# By group


def test_no_group_is_on_two_sides(tmp_path: Path) -> None:
    names = ["张三", "李四", "", "O'Hara", *(f"病人{number}" for number in range(36))]
    content = table(400, patient=lambda number: names[number % 40])
    outcome = split(tmp_path, content, mask={"columns": {"patient": "hash"}}, split={"group": "patient"})
    found = sides(outcome, "patient")
    assert len(found) == 40
    assert all(len(where) == 1 for where in found.values())
    assert Counter(where for each in found.values() for where in each) == {"train": 28, "validation": 6, "test": 6}
    assert shares(outcome) == {"train": 280, "validation": 60, "test": 60}


def test_groups_stay_together_in_any_buckets(tmp_path: Path) -> None:
    content = table(600, patient=lambda number: f"p{number % 30}")
    hashed = {"columns": {"patient": "hash"}}
    one, many = (
        split(tmp_path, content, grain, mask=hashed, split={"group": "patient", "folds": 5})
        for grain in (WHOLE, Grain(2_000, 4_000))
    )
    assert many.decisions.buckets > 3
    assert stored(one) == stored(many)
    folds = defaultdict(set)
    for rows in many.splits.values():
        for row in rows.to_pylist():
            folds[row["patient"]].add(row[FOLD])
    assert all(len(numbers) == 1 for numbers in folds.values())
    assert Counter(number for numbers in folds.values() for number in numbers if number >= 0).keys() == set(range(5))


def stored(outcome: Outcome) -> dict[str, Counter[tuple[Any, ...]]]:
    """Split → rows as they are stored."""
    return {name: Counter(tuple(row.values()) for row in rows.to_pylist()) for name, rows in outcome.splits.items()}


def test_a_group_of_most_rows_falls_on_one_side(tmp_path: Path) -> None:
    content = table(300, patient=lambda number: f"p{number}" if number < 60 else "giant")
    outcome = split(tmp_path, content, mask={"columns": {"patient": "hash"}}, split={"group": "patient"})
    assert max(Counter(v for r in outcome.splits.values() for v in r.column("patient").to_pylist()).values()) == 240
    assert all(len(where) == 1 for where in sides(outcome, "patient").values())


@pytest.mark.parametrize("groups", [1, 2])
def test_three_groups_are_needed(tmp_path: Path, groups: int) -> None:
    content = table(60, patient=lambda number: f"p{number % groups}")
    with pytest.raises(UnusableData, match="no row falls into") as caught:
        split(tmp_path, content, target="label", split={"group": "patient"})
    assert caught.value.code == "empty_split"
    assert "three groups" in str(caught.value.hint)


def test_a_group_column_that_is_not_stored_keeps_groups_together(tmp_path: Path) -> None:
    content = table(400, patient=lambda number: f"p{number // 10}")
    dropped = split(tmp_path, content, mask={"columns": {"patient": "drop"}}, split={"group": "patient"})
    hashed = split(tmp_path, content, mask={"columns": {"patient": "hash"}}, split={"group": "patient"})
    assert all("patient" not in rows.column_names for rows in dropped.splits.values())
    for name in SPLITS:
        assert dropped.splits[name].column("size").equals(hashed.splits[name].column("size"))


def test_the_group_is_neither_target_nor_input(tmp_path: Path) -> None:
    lines = [f"{text},{label},p{number % 20}" for number, (text, label) in enumerate(reviews(100))]
    outcome = split(tmp_path, "\n".join(["review,recommended,category", *lines]), split={"group": "category"})
    assert outcome.decisions.target == "recommended"
    assert [column.name for column in outcome.decisions.inputs] == ["review"]


# By time


def minutes(number: int) -> str:
    return f"2024-03-{1 + number // 24:02} {number % 24:02}:00:00"


TIMES: dict[str, Callable[[int], Any]] = {
    "dates": lambda number: f"2024-{1 + number // 28:02}-{1 + number % 28:02}",
    "times": minutes,
    "years": lambda number: 1900 + number,
    "seconds": lambda number: 1_700_000_000 + number,
    "milliseconds": lambda number: 1_700_000_000_000 + 1000 * number,
    "nanoseconds": lambda number: (1_700_000_000 + number) * 10**9,
    "before 1970": lambda number: -5.5 + number,
}


@pytest.mark.parametrize("form", TIMES)
def test_the_latest_rows_are_the_test(tmp_path: Path, form: str) -> None:
    order = random.Random(6).sample(range(100), 100)
    content = table(100, at=lambda number: TIMES[form](order[number]), rank=lambda number: f"{order[number]}.5")
    outcome = split(tmp_path, content, inputs=["size", "rank"], target="label", split={"time": "at"})
    ranks = {name: sorted(rows.column("rank").to_pylist()) for name, rows in outcome.splits.items()}
    assert ranks == {
        "train": [n + 0.5 for n in range(70)],
        "validation": [n + 0.5 for n in range(70, 85)],
        "test": [n + 0.5 for n in range(85, 100)],
    }


def test_more_times_than_are_counted(tmp_path: Path) -> None:
    rows = EXACT + 2_000
    outcome = split(
        tmp_path,
        table(rows, at=lambda n: 1_700_000_000 + n * 60),
        target="label",
        inputs=["size", "at"],
        split={"time": "at"},
    )
    latest = [max(outcome.splits[name].column("at").to_pylist()) for name in SPLITS]
    earliest = [min(outcome.splits[name].column("at").to_pylist()) for name in SPLITS]
    assert earliest[0] < latest[0] < earliest[1] < latest[1] < earliest[2]
    for name, share in (("train", 0.7), ("validation", 0.15), ("test", 0.15)):
        assert abs(outcome.splits[name].num_rows / rows - share) < 0.01


def test_rows_of_one_time_fall_together_and_each_side_has_one(tmp_path: Path) -> None:
    days = [1] * 10 + [2] * 10 + [3] * 80
    content = table(100, at=lambda number: f"2024-05-0{days[number]}", day=lambda number: f"{days[number]}.5")
    outcome = split(tmp_path, content, inputs=["size", "day"], target="label", split={"time": "at"})
    assert shares(outcome) == {"train": 10, "validation": 10, "test": 80}


def test_rows_without_a_time_are_told_and_train(tmp_path: Path) -> None:
    odd = {3: "", 50: "soon", 97: "?"}
    content = table(100, at=lambda number: odd.get(number, minutes(number)), rank=lambda number: f"{number}.5")
    outcome = split(tmp_path, content, inputs=["size", "rank"], target="label", split={"time": "at"})
    assert {3.5, 50.5, 97.5} <= set(outcome.splits["train"].column("rank").to_pylist())
    assert [w.message[:6] for w in outcome.warnings if w.code == "rows_without_time"] == ["3 rows"]


def test_one_time_is_no_split(tmp_path: Path) -> None:
    with pytest.raises(UnusableData) as caught:
        split(
            tmp_path, table(60, at=lambda number: f"2024-05-{1 + number % 2:02}"), target="label", split={"time": "at"}
        )
    assert (caught.value.code, caught.value.rows.read) == ("empty_split", 60)


def test_words_are_no_times(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="neither dates nor numbers"):
        split(tmp_path, table(60, at=lambda number: f"day {number}"), split={"time": "at"})


# As given


def cut(content: str, *places: int) -> list[str]:
    head, *body = content.splitlines()
    ends = [0, *places, len(body)]
    return ["\n".join([head, *body[start:end]]) for start, end in zip(ends, ends[1:], strict=False)]


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
    assert [w.message[:6] for w in outcome.warnings if w.code == "given_split_overlaps"] == ["1 rows"]
    assert outcome.quarantine[0]["row"] in (81, 1 + 20 + 80)


def test_repeated_rows_of_given_sides_are_kept_and_said_to_be(tmp_path: Path) -> None:
    train, test = cut(table(100), 80)
    files: Files = {"train.csv": f"{train}\n{test.splitlines()[1]}\n", "test.csv": test}
    outcome = split(tmp_path, files, clean={"duplicates": "keep"})
    assert outcome.rows.used == 101
    assert "are used" in next(w.message for w in outcome.warnings if w.code == "repeated_rows_kept")
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
    said = next(w.message for w in outcome.warnings if w.code == "rows_without_split")
    assert int(said.split()[0]) == sum(number % 3 < 2 for number in range(20, 100))


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
    recipe = {"mask": {"columns": {"patient": "hash"}}, "split": {"group": "patient", "folds": "leave-one-out"}}
    outcome = split(tmp_path, content, **recipe)
    folds = defaultdict(set)
    for name in ("train", "validation"):
        for row in outcome.splits[name].to_pylist():
            folds[row["patient"]].add(row[FOLD])
    assert sorted(numbers for each in folds.values() for numbers in each) == list(range(10))


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


# What cannot be


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"by": "group"}, "by: group needs the name of a column"),
        ({"by": "time"}, "by: time needs the name of a column"),
        ({"by": "random", "group": "key"}, "but the split is by random"),
        ({"group": "key", "time": "size"}, "either `group` or `time`"),
        ({"column": "key"}, "say `by: given` too"),
        ({"time": "size", "folds": 5}, "folds` mix rows of all times"),
        ({"folds": 1}, "split.folds"),
        ({"train": 0.9}, "must be 1"),
        ({"by": "given"}, "neither names of files"),
        ({"group": "nobody"}, "split.group: there is no column 'nobody'"),
        ({"group": "label"}, "split.group: there is no column 'label' beside the target"),
        ({"time": "label"}, "split.time"),
        ({"by": "given", "column": "label"}, "split.column: there is no column 'label' beside the target"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, recipe: dict[str, Any], said: str) -> None:
    with pytest.raises(Rejected, match=said):
        split(tmp_path, table(60), target="label", split=recipe)


def test_measures_have_no_classes_to_split_by(tmp_path: Path) -> None:
    lines = [f"{n % 7}.5,{n * 1.37}" for n in range(100)]
    with pytest.raises(Rejected, match="the target is a measure"):
        split(tmp_path, "\n".join(["size,price", *lines]), target="price", split={"by": "stratified"})
