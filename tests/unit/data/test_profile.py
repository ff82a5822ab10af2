"""Profiles: a monoid with exact counts, close estimates and deterministic bytes."""

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelmill.core.data.cells import DECORATED, MISSING, NONE, PLAIN
from modelmill.core.model.recipe import Clean
from modelmill.frames.clean import clean
from modelmill.frames.numbers import parse_numbers
from modelmill.frames.profile import Profile
from modelmill.serving.features import number_of

Cell = str | None
cells = st.one_of(st.none(), st.sampled_from(["a", "b", "好的 酒店", "1", "2.5", "-3e2"]), st.text(max_size=12))
batches = st.lists(st.tuples(cells, cells), max_size=30)


def profile(rows: list[tuple[Cell, Cell]]) -> Profile:
    columns = [pa.array([row[index] for row in rows], pa.large_string()) for index in range(2)]
    return Profile.of(clean(pa.RecordBatch.from_arrays(columns, names=["a", "b"]), Clean())[0])


def exact(found: Profile) -> Any:
    """What must not depend on how the rows were cut: everything but rounding and estimates of quantiles."""
    summaries: list[Any] = []
    for summary in found.summaries():
        rounded = (round(summary.distinct, 3), round(summary.mean_words, 6), round(summary.mean_cjk, 6))
        summaries.append((summary.name, summary.rows, summary.nulls, summary.numbers, summary.integers, *rounded))
        summaries.append((summary.minimum, summary.maximum))
    return summaries


@settings(deadline=None, max_examples=60)
@given(batches, batches, batches)
def test_merging_is_associative_and_equals_the_whole(a: Any, b: Any, c: Any) -> None:
    left = profile(a).merge(profile(b)).merge(profile(c))
    right = profile(a).merge(profile(b).merge(profile(c)))
    whole = profile(a + b + c)
    assert exact(left) == exact(right) == exact(whole)
    for name, column in whole.columns.items():
        for merged in (left, right):
            assert merged.columns[name].moments.mean == pytest.approx(column.moments.mean, rel=1e-9, abs=1e-9)
            assert merged.columns[name].moments.squares == pytest.approx(column.moments.squares, rel=1e-6, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(batches)
def test_bytes_are_deterministic_and_come_back(rows: Any) -> None:
    data = profile(rows).to_bytes()
    assert profile(rows).to_bytes() == data
    assert Profile.from_bytes(data).as_dict() == profile(rows).as_dict()
    json.dumps(profile(rows).as_dict(), allow_nan=False)


def test_estimates_are_close() -> None:
    dice = np.random.default_rng(5)
    values = dice.normal(10, 2, 50_000)
    parts = [
        Profile.of(pa.RecordBatch.from_arrays([pa.array(part)], names=["x"])) for part in np.array_split(values, 7)
    ]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    (column,) = merged.as_dict()["columns"]
    assert column["distinct"] == pytest.approx(50_000, rel=0.05)
    assert column["numbers"]["deviation"] == pytest.approx(values.std())
    for rank, found in column["numbers"]["quantiles"].items():
        assert (values <= found).mean() == pytest.approx(float(rank), abs=0.01)


def test_large_random_columns_give_equal_bytes() -> None:
    values = np.random.default_rng(6).normal(size=30_000)
    batch = pa.RecordBatch.from_arrays(
        [pa.array(values), pa.array([str(v) for v in values], pa.large_string())], ["x", "y"]
    )
    assert Profile.of(batch).to_bytes() == Profile.of(batch).to_bytes()


def test_a_column_that_a_shard_lacks_is_null_there() -> None:
    one = Profile.of(pa.RecordBatch.from_pydict({"a": pa.array(["x", "y"], pa.large_string())}))
    two = Profile.of(pa.RecordBatch.from_pydict({"b": pa.array(["z"], pa.large_string())}))
    merged = one.merge(two)
    assert [(c.name, c.rows, c.nulls) for c in merged.summaries()] == [("a", 3, 1), ("b", 3, 2)]


def test_from_bytes_refuses_another_format() -> None:
    with pytest.raises(ValueError, match="format"):
        Profile.from_bytes(b'{"format": 2}')


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1.0), ("-2.50", -2.5), ("+.5", 0.5), ("3.", 3.0), ("1e3", 1000.0), ("1,234,567.8", 1234567.8),
        ("1 234", 1234.0), ("1\u00a0234", 1234.0), ("0", 0.0), ("0.07", 0.07), ("007", None), ("1,23", None),
        ("1e999", None), ("0x10", None), ("1_000", None), ("nan", None), ("$1,234.50", 1234.5), ("-£0.5", -0.5),
        ("45%", 45.0), ("1 200 €", 1200.0), ("US$ 12", 12.0), ("12 May", None), ("AB 12", None),
        ("$", None), ("$$5", None), ("12%5", None),
        ("", None), ("-", None),
    ],
)  # fmt: skip
def test_what_is_a_number(text: str, number: float | None) -> None:
    assert parse_numbers(pa.array([text, None, "8"], pa.large_string())).to_pylist() == [number, None, 8.0]


@given(st.from_regex(PLAIN.replace("$", r"\Z")) | st.from_regex(DECORATED.replace("?$", r"?\Z")))
@example("$1,234.50")
@example("-12 %")
def test_a_request_reads_numbers_as_the_file_did(text: str) -> None:
    (number,) = parse_numbers(pa.array([text], pa.large_string())).to_pylist()
    if number is not None and abs(number) < 1e30:
        assert number_of(text, "x") == number


def test_what_is_missing_in_the_file_is_missing_in_a_request() -> None:
    assert all(math.isnan(number_of(text, "x")) for text in (*MISSING, NONE))


@given(st.lists(st.one_of(st.floats(-1e30, 1e30), st.integers(-(10**15), 10**15)), min_size=1))
def test_numbers_come_back(values: list[float]) -> None:
    assert parse_numbers(pa.array([repr(v) for v in values], pa.large_string())).to_pylist() == values
