"""Where rows fall: by class, at random, by group, by time, as given, and in folds.

What is promised. A row's place follows from what a model sees in it (its *fall*, a hash under the recipe's seed; the
group or the time where the split is by these), never from its place in the upload, its file's format or the sizes of
parts. Of a class with at most 4,096 different rows the sides are exact: the rows are ranked by their falls and the
ranks are cut, so that added rows move the cuts, and the few rows between an old cut and the new one change sides.
Of a larger class the cuts are fixed shares of the range of falls: added rows move none. Texts that are equal but for
case, spaces and punctuation have one fall, and so one side and one fold; so have rows of a table with equal inputs,
unless many repeat (then their numbers are mixed into their falls). With a group or a time, equal values have one fall.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from modelmill.core.data.accounts import UnusableData
from modelmill.core.data.split import FOLD, SPLITS
from modelmill.core.errors import Rejected
from modelmill.frames.steps import WHOLE, Grain
from modelmill.frames.tally import EXACT
from tests.unit.data.files import reviews
from tests.unit.data.splitting import by_label, counted, shares, sides, split, stored, table

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
    assert counted(outcome, "rows_without_time") == 3


def test_the_time_is_not_the_target_and_need_not_be_stored(tmp_path: Path) -> None:
    lines = [f"{n * 7 % 31}.5,{'ab'[n % 2]},{1_700_000_000 + n}" for n in range(60)]
    recipe: dict[str, Any] = {"split": {"time": "ts"}, "mask": {"columns": {"ts": "drop"}}}
    outcome = split(tmp_path, "\n".join(["size,label,ts", *lines]), **recipe)
    assert outcome.decisions.target == "label"
    assert outcome.splits["test"].column_names == ["size", "label"]
    assert shares(outcome) == {"train": 42, "validation": 9, "test": 9}


def test_one_time_is_no_split(tmp_path: Path) -> None:
    with pytest.raises(UnusableData) as caught:
        split(
            tmp_path, table(60, at=lambda number: f"2024-05-{1 + number % 2:02}"), target="label", split={"time": "at"}
        )
    assert (caught.value.code, caught.value.rows.read) == ("empty_split", 60)


def test_words_are_no_times(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="neither dates nor numbers"):
        split(tmp_path, table(60, at=lambda number: f"day {number}"), split={"time": "at"})


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
    with pytest.raises(Rejected, match="the target has none"):
        split(tmp_path, "\n".join(["size,price", *lines]), target="price", split={"by": "stratified"})
