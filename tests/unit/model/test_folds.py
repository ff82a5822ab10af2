"""Folds: every row is measured once by a fit that did not see it or its like, whatever the data."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Column, RunSpec
from modelmill.core.model.task import Task
from modelmill.training.folds import FEW_ROWS, Fold, plan_of
from modelmill.training.rows import Cells, Rows

CLASSES: Task = "tabular-classification"


def spec_of(task: Task = CLASSES, *, mixable: bool = True, **recipe: Any) -> RunSpec:
    return RunSpec(
        run_id="r",
        tenant="t",
        dataset="d",
        dataset_version="v",
        data_prefix="",
        model="m",
        task=task,
        target="y",
        inputs=[Column(name="x", kind="text")],
        labels=["a", "b", "c"],
        candidates=[],
        recipe=Recipe(**recipe),
        mixable=mixable,
    )


def rows_of(cells: list[Any], target: Any, folds: list[int] | None = None) -> Rows:
    numbers = None if folds is None else np.array(folds, np.int64)
    return Rows({"x": Cells(pa.chunked_array([pa.array(cells)]))}, np.asarray(target), numbers)


def plan(rows: Rows, spec: RunSpec, validation: int = 2, *, costly: bool = False) -> tuple[str, list[Fold]]:
    """The plan of rows of which the last are for validation."""
    places = np.arange(len(rows))
    cut = len(rows) - validation
    made = plan_of(rows.take(places[:cut]), rows.take(places[cut:]), spec, costly=costly)
    for fold in made.folds:
        assert not set(fold.learnt) & set(fold.held_out)
        assert set(fold.learnt) | set(fold.held_out) == set(range(len(rows)))
    return made.method, made.folds


def test_few_rows_that_may_be_mixed_get_five_even_stratified_folds() -> None:
    target = [0] * 60 + [1] * 30 + [2] * 10
    method, folds = plan(rows_of([f"row {n}" for n in range(100)], target), spec_of())
    assert (method, len(folds)) == ("folds", 5)
    assert sorted(np.concatenate([fold.held_out for fold in folds]).tolist()) == list(range(100))
    for fold in folds:
        assert np.bincount(np.array(target)[fold.held_out]).tolist() == [12, 6, 2]


@pytest.mark.parametrize(
    ("rows", "spec", "costly"),
    [
        (FEW_ROWS, spec_of(), False),
        (100, spec_of(mixable=False), False),
        (100, spec_of(), True),
        (100, spec_of(selection={"method": "hold-out"}), False),
    ],
)
def test_else_the_validation_rows_measure(rows: int, spec: RunSpec, costly: bool) -> None:
    method, folds = plan(rows_of([f"row {n}" for n in range(rows)], [n % 2 for n in range(rows)]), spec, costly=costly)
    assert (method, len(folds)) == ("hold-out", 1)
    assert folds[0].held_out.tolist() == [rows - 2, rows - 1]


def test_the_recipe_may_want_folds_of_what_auto_would_not() -> None:
    rows = rows_of([f"row {n}" for n in range(40)], [n % 2 for n in range(40)])
    wanted = spec_of(selection={"method": "folds", "folds": 4}, mixable=False)
    assert len(plan(rows, wanted, costly=True)[1]) == 4
    assert plan(rows, spec_of(selection={"method": "nested", "folds": 3}))[0] == "nested"
    assert len(plan(rows, spec_of(selection={"method": "leave-one-out"}))[1]) == 40


def test_leave_one_out_of_many_rows_is_refused() -> None:
    rows = rows_of([f"row {n}" for n in range(1_001)], [n % 2 for n in range(1_001)])
    with pytest.raises(Rejected, match="leave-one-out") as refused:
        plan(rows, spec_of(selection={"method": "leave-one-out"}))
    assert refused.value.limit == 1_000


@pytest.mark.parametrize("method", ["auto", "folds", "nested"])
def test_the_folds_of_the_data_are_kept_and_rows_without_one_are_always_learnt(method: str) -> None:
    rows = rows_of(list("abcdef"), [0, 1] * 3, folds=[0, 1, 2, 0, 1, -1])
    _, folds = plan(rows, spec_of(mixable=False, selection={"method": method}))
    assert [fold.held_out.tolist() for fold in folds] == [[0, 3], [1, 4], [2]]
    assert all(5 in fold.learnt for fold in folds)


def test_equal_rows_fall_together_and_so_do_texts_that_differ_in_case_and_spaces() -> None:
    texts = [f"{word} again" for word in "abcdefghij"] + [f"{word.upper()}  again!" for word in "abcdefghij"]
    _, folds = plan(rows_of(texts, [n % 2 for n in range(20)]), spec_of("text-classification"))
    assert len(folds) == 5
    for fold in folds:
        assert set((fold.held_out + 10) % 20) == set(fold.held_out)


def test_the_same_rows_fall_alike_in_any_order_and_otherwise_by_another_seed() -> None:
    cells, target = np.array([f"row {n}" for n in range(50)]), np.arange(50) % 3
    order = np.random.default_rng(1).permutation(50)

    def together(rows: Rows, spec: RunSpec) -> set[frozenset[str]]:
        texts = list(rows.columns["x"])
        return {frozenset(str(texts[place]) for place in fold.held_out) for fold in plan(rows, spec)[1]}

    first = together(rows_of(cells.tolist(), target), spec_of())
    assert together(rows_of(cells[order].tolist(), target[order]), spec_of()) == first
    assert together(rows_of(cells.tolist(), target), spec_of(seed=8)) != first


def test_a_class_that_one_row_has_is_never_held_out() -> None:
    target = [0] * 10 + [1] * 9 + [2]
    _, folds = plan(rows_of([f"row {n}" for n in range(20)], target), spec_of())
    assert all(19 in fold.learnt for fold in folds)
    assert len(np.concatenate([fold.held_out for fold in folds])) == 19


def test_fewer_different_rows_than_folds_make_fewer_folds_and_one_makes_none() -> None:
    assert len(plan(rows_of(["a", "b", "c", "d"], [0, 0, 1, 1]), spec_of())[1]) == 4
    assert plan(rows_of(["a"] * 6, [0, 0, 0, 1, 1, 1]), spec_of())[0] == "hold-out"


def test_measures_are_spread_by_their_size_and_tags_by_the_rarest() -> None:
    values = np.linspace(0, 1, 100) ** 4
    _, folds = plan(rows_of([float(n) for n in range(100)], values), spec_of("tabular-regression"))
    means = [values[fold.held_out].mean() for fold in folds]
    assert max(means) - min(means) < 0.25 * values.mean()

    tags = np.zeros((100, 3), np.float32)
    tags[:, 0], tags[::20, 1], tags[1, 2] = 1, 1, 1
    _, folds = plan(rows_of([f"row {n}" for n in range(100)], tags), spec_of("tabular-multilabel"))
    assert [int(tags[fold.held_out, 1].sum()) for fold in folds] == [1] * 5


def test_images_fall_by_their_bytes() -> None:
    images = [bytes([n // 2]) * 100 for n in range(20)]
    _, folds = plan(rows_of(images, [0] * 10 + [1] * 10), spec_of("image-classification"))
    for fold in folds:
        assert set(fold.held_out ^ 1) == set(fold.held_out)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), min_size=4, max_size=60), st.integers(2, 20))
def test_no_row_is_measured_twice_and_no_equal_row_is_on_both_sides(pairs: list[tuple[int, int]], count: int) -> None:
    cells = [str(cell) for cell, _ in pairs]
    rows = rows_of(cells, [label for _, label in pairs])
    method, folds = plan(rows, spec_of(selection={"method": "folds", "folds": count}))
    held_out = np.concatenate([fold.held_out for fold in folds])
    assert len(set(held_out)) == len(held_out)
    if method == "folds":
        assert all(not {cells[n] for n in fold.learnt} & {cells[n] for n in fold.held_out} for fold in folds)
