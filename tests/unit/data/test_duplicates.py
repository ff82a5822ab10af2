"""Rows that come twice, or nearly, and where they fall; accounts under any recipe."""

import random
from collections import Counter, defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelmill.core.data.accounts import UnusableData
from modelmill.core.data.split import FOLD, SPLITS
from modelmill.frames.steps import Grain
from modelmill.frames.tally import EXACT
from tests.unit.data.files import Outcome, reviews
from tests.unit.data.splitting import (
    as_csv,
    by_label,
    codes,
    counted,
    shares,
    sides,
    split,
    stored,
    table,
    texts,
    written,
)

# Copies


def test_copies_of_texts_are_dropped(tmp_path: Path) -> None:
    outcome = split(tmp_path, texts(*reviews(5)))
    assert outcome.reasons == {"duplicate": 5}
    assert [line["row"] for line in outcome.quarantine] == [41, 42, 43, 44, 45]


def test_copies_of_texts_are_kept_on_one_side_if_the_recipe_says_so(tmp_path: Path) -> None:
    outcome = split(tmp_path, texts(*reviews(40), *reviews(40)), clean={"duplicates": "keep"})
    assert outcome.rows.used == 120
    assert all(len(where) == 1 for where in sides(outcome, "review").values())
    assert shares(outcome) == {"train": 84, "validation": 18, "test": 18}
    assert "repeated_rows_kept" in codes(outcome)


@pytest.mark.parametrize("grain", [Grain(), Grain(1_000, 1_000)])
def test_rows_that_repeat_in_a_table_are_spread_over_the_sides(tmp_path: Path, grain: Grain) -> None:
    dice = random.Random(4)
    rows = [(dice.choice("ab"), dice.choice("cd"), dice.choice("ef")) for _ in range(400)]
    outcome = split(tmp_path, as_csv(rows, "one", "two", "label"), grain)
    assert outcome.rows.used == 400
    sizes = Counter(row[2] for row in rows)
    for name, share in (("train", 0.7), ("validation", 0.15), ("test", 0.15)):
        for label, many in by_label(outcome, name).items():
            assert abs(many - share * sizes[label]) <= 1
        assert len(set(zip(*outcome.splits[name].to_pydict().values(), strict=True))) == 8


def test_rows_that_repeat_in_a_table_are_dropped_if_the_recipe_says_so(tmp_path: Path) -> None:
    rows = [(f"{n % 30}.5", "ef"[n % 2]) for n in range(600)]
    outcome = split(tmp_path, as_csv(rows, "size", "label"), clean={"duplicates": "drop"})
    assert (outcome.rows.used, outcome.reasons) == (30, {"duplicate": 570})
    assert sum(shares(outcome).values()) == 30
    assert {name: len(by_label(outcome, name)) for name in SPLITS} == dict.fromkeys(SPLITS, 2)


NEAR = [
    ("The dress is lovely, and warm", "the dress is LOVELY and warm!"),
    ("这件衣服很好，很暖和。", "这件衣服很好 很暖和！"),
    ("Élégante et chaude", "élégante, et chaude"),
    ("“quite” warm – really", '"quite" warm — really...'),
]


@pytest.mark.parametrize("pair", NEAR)
def test_near_copies_are_dropped_if_the_recipe_says_so(tmp_path: Path, pair: tuple[str, str]) -> None:
    content = texts((pair[0], "yes"), (pair[1], "yes"))
    kept, dropped = (split(tmp_path, content, clean={"near_duplicates": how}) for how in ("keep", "drop"))
    assert (kept.rows.used, dropped.rows.used) == (42, 41)
    assert dropped.reasons == {"duplicate": 1}
    for outcome in (kept, dropped):
        assert counted(outcome, "near_duplicates") == 1


def test_texts_with_two_classes_are_told_and_kept_on_one_side(tmp_path: Path) -> None:
    twice = [(text, "no" if label == "yes" else "yes") for text, label in reviews(200)[:60]]
    outcome = split(tmp_path, texts(*twice, rows=200))
    assert outcome.rows.used == 260
    assert counted(outcome, "label_conflicts") == 60
    assert all(len(where) == 1 for where in sides(outcome, "review").values())


spelt = st.tuples(
    st.integers(0, 25), st.sampled_from(["{}", "{}!", " {} ", "{}。", "《{}》"]), st.booleans(), st.booleans()
)


def normal(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(spelt, max_size=60), st.sampled_from([None, 2, 5]), st.sampled_from(["auto", "keep"]))
def test_texts_that_look_alike_are_never_on_two_sides_or_in_two_folds(
    tmp_path: Path, rows: list[tuple[int, str, bool, bool]], folds: int | None, duplicates: str
) -> None:
    written = [
        (form.format(text.upper() if loud else text), "no" if no else "yes")
        for place, form, loud, no in rows
        for text in [reviews(30)[place][0] if place % 2 else f"第{place}件衣服很好，很暖和"]
    ]
    recipe: dict[str, Any] = {"split": {"folds": folds}, "clean": {"duplicates": duplicates}}
    outcome = split(tmp_path, texts(*written, rows=60), Grain(700, 2_000), **recipe)
    where: dict[str, set[Any]] = defaultdict(set)
    for name, stored_rows in outcome.splits.items():
        for row in stored_rows.to_pylist():
            where[normal(row["review"])].add((name, row.get(FOLD)))
    assert all(len(places) == 1 for places in where.values())
    assert outcome.rows.read == 60 + len(written)


# Where a row falls


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False), st.integers(300, 3_000), st.sampled_from(["csv", "jsonl", "parquet", "tsv"]))
def test_neither_order_nor_format_nor_parts_move_a_row(
    tmp_path: Path, dice: random.Random, part: int, form: str
) -> None:
    rows = [dict(zip(("review", "label"), pair, strict=True)) for pair in reviews(150)]
    first = split(tmp_path, as_csv([tuple(row.values()) for row in rows], "review", "label"))
    dice.shuffle(rows)
    second = split(tmp_path, {f"data.{form}": written(rows, form)}, Grain(part, 1_500))
    assert second.decisions.buckets > 3
    assert stored(first) == stored(second)


def test_added_rows_move_rows_near_a_cut_alone(tmp_path: Path) -> None:
    """The cuts lie by ranks: those of a small class move with its size, and only rows between old and new cut do."""
    before, after = split(tmp_path, table(600)), split(tmp_path, table(600) + table(60, seed=9).partition("\n")[2])
    old, new = sides(before, "size"), sides(after, "size")
    moved = [value for value, where in old.items() if new[value] != where]
    assert len(moved) < 0.1 * 600


def test_added_rows_move_no_row_of_a_large_class(tmp_path: Path) -> None:
    rows = 2 * (EXACT + 200)
    before = split(tmp_path, table(rows))
    after = split(tmp_path, table(rows) + table(500, seed=9).partition("\n")[2])
    old, new = sides(before, "size"), sides(after, "size")
    assert [value for value, where in old.items() if not where <= new[value]] == []


# Accounts

recipes = st.fixed_dictionaries(
    {
        "split": st.sampled_from(
            [
                {},
                {"by": "random"},
                {"folds": 3},
                {"folds": "leave-one-out"},
                {"group": "who"},
                {"group": "who", "folds": 4},
                {"time": "at"},
                {"by": "given", "column": "part"},
                {"by": "given", "column": "part", "folds": 2},
                {"train": 0.5, "validation": 0.2, "test": 0.3},
            ]
        ),
        "clean": st.fixed_dictionaries(
            {
                "unicode": st.sampled_from(["nfc", "nfkc", "keep"]),
                "control": st.sampled_from(["strip", "keep"]),
                "html": st.sampled_from(["auto", "strip", "keep"]),
                "labels": st.sampled_from(["unify", "keep"]),
                "duplicates": st.sampled_from(["auto", "drop", "keep"]),
                "near_duplicates": st.sampled_from(["keep", "drop"]),
            }
        ),
        "mask": st.sampled_from([{}, {"columns": {"who": "hash"}}, {"columns": {"who": "drop", "part": "drop"}}]),
        "seed": st.integers(0, 3),
        "inputs": st.sampled_from([["review"], ["size"], ["size", "at"]]),
    }
)
rows = st.lists(
    st.tuples(
        st.sampled_from(
            ["a fine <b>coat</b>", "A fine coat!", "ﬁne coat", "=cmd|'x'", "", "?", "好，很好", "me@there.org"]
        ),
        st.sampled_from(["1.5", "2", "", "x", "1,000.5"]),
        st.sampled_from(["ann", "张三", "", "bob", "cy", "dan"]),
        st.sampled_from(["2024-01-05", "2024-02-07", "", "2024-03-09"]),
        st.sampled_from(["train", "test", "val", "", "odd"]),
        st.sampled_from(["yes", "YES", "no", "No.", "", "none", "once"]),
    ),
    max_size=50,
)


def outcome_of(folder: Path, content: str, recipe: dict[str, Any]) -> Outcome | UnusableData:
    """The outcome, or the refusal in its place."""
    try:
        return split(folder, content, Grain(1_500, 2_500), target="label", **recipe)
    except UnusableData as cause:
        return cause


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows, recipes)
def test_used_and_quarantined_are_read_under_any_recipe(
    tmp_path: Path, more: list[tuple[str, ...]], recipe: dict[str, Any]
) -> None:
    good = [
        (
            text,
            f"{n * 7 % 23}.25",
            ["ann", "bob", "cy", "dan", "eve"][n % 5],
            f"2024-0{1 + n % 6}-11",
            ("train", "train", "val", "test")[n % 4],
            label,
        )
        for n, (text, label) in enumerate(reviews(40))
    ]
    content = as_csv([*good, *more], "review", "size", "who", "at", "part", "label")
    read = len(good) + len(more)
    with TemporaryDirectory(dir=tmp_path) as folder:
        outcome = outcome_of(Path(folder), content, recipe)
        if isinstance(outcome, UnusableData):
            assert (outcome.rows.read, outcome.rows.quarantined) == (read, read)
            assert outcome.code in ("empty_split", "too_few_rows", "one_class")
            return
        kept, lines = outcome.splits, outcome.quarantine
    assert outcome.rows.read == read == outcome.rows.used + outcome.rows.quarantined
    assert sum(side.num_rows for side in kept.values()) == outcome.rows.used
    assert len(lines) == outcome.rows.quarantined == len({line["row"] for line in lines})
    assert all(side.num_rows for side in kept.values())
    if folds := recipe["split"].get("folds"):
        numbers = [f for name in ("train", "validation") for f in kept[name].column(FOLD).to_pylist()]
        assert min(numbers) >= 0
        assert folds == "leave-one-out" or max(numbers) < folds
