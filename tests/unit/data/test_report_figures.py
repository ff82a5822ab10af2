"""The figures of the report: shares, correlations, histograms, and numbers as people read them."""

import numpy as np
import pyarrow as pa
import pytest

from modelmill.frames.report import wording
from modelmill.frames.report.association import (
    associations,
    code_measure,
    code_numbers,
    code_strings,
    correlations,
    explained,
)
from modelmill.frames.report.missing import missing_together
from modelmill.frames.report.page import PICTURE_CHARACTERS, _affordable
from modelmill.frames.report.stats import histogram


def test_explained_is_the_share_of_the_entropy() -> None:
    dice = np.random.default_rng(1)
    classes = dice.integers(0, 3, 5_000)
    assert explained(classes * 7, classes) > 0.99
    assert explained(dice.integers(0, 50, 5_000), classes) < 0.01
    assert explained(np.zeros(10, np.int64), np.zeros(10, np.int64)) == 0
    spike = np.where(classes == 0, dice.random(5_000) * 1_000, 0.0)  # most are 0, the others say the class
    assert explained(code_numbers(spike), (classes == 0).astype(np.int64)) > 0.99


def test_a_few_hundred_rows_explain_a_measure() -> None:
    dice = np.random.default_rng(3)
    inputs = dice.normal(size=400)
    noise = np.round(dice.normal(size=400), 2)
    target = code_measure(inputs + dice.normal(size=400))
    assert explained(code_numbers(inputs), target) > 0.1
    assert explained(code_numbers(noise), target) < 0.03
    copied = code_measure(inputs)
    assert explained(code_numbers(inputs), copied) > 0.85
    ends = code_measure(np.minimum(inputs, 0.0))  # the largest value is what most rows have
    assert explained(code_numbers(inputs), ends) > 0.85


def test_codes_keep_missing_values_apart() -> None:
    assert len(set(code_numbers(np.array([np.nan, 1.0, np.nan, 2.0])).tolist())) == 3
    assert set(code_numbers(np.array([np.nan])).tolist()) == {0}
    strings = pa.array([None, *(f"v{number:03}" for number in range(80)), "v000"], pa.large_string())
    codes = code_strings(strings).tolist()
    assert codes[0] == 0
    assert codes.count(codes[1]) == 2
    assert codes.count(1) == 30


def test_correlations_are_those_of_numpy() -> None:
    dice = np.random.default_rng(2)
    first = dice.normal(size=200)
    second = np.where(dice.random(200) < 0.1, np.nan, first + dice.normal(size=200))
    matrix = correlations([first, second, np.ones(200)])
    known = ~np.isnan(second)
    assert matrix[0][1] == matrix[1][0] == round(float(np.corrcoef(first[known], second[known])[0, 1]), 3)
    assert matrix[2] == [None, None, None]


@pytest.mark.parametrize(
    "values", [[1.0], [5.0, 5.0], [1.0, np.nextafter(1.0, 2)], [3e38, -3e38], [1e17, 1e17 + 2], [0.0, 1e-300]]
)
def test_a_histogram_counts_every_number(values: list[float]) -> None:
    found = histogram(np.array([*values, np.nan]))
    assert found is not None
    assert sum(found["counts"]) + found["below"] + found["above"] == len(values)
    assert len(found["edges"]) == len(found["counts"]) + 1


def test_a_long_tail_is_cut_off_and_counted() -> None:
    found = histogram(np.array([*range(50)] * 20 + [1e6]))
    assert found is not None
    assert (found["below"], found["above"]) == (0, 1)
    assert found["edges"][-1] < 60
    assert histogram(np.array([np.nan])) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234567, "1,234,567"), (-3.14159, "−3.14"), (0.5, "0.5"), (123.456, "123.5"), (1e20, "1.000e20"),
     (0.00001234, "1.234e−05"), (2500.6, "2,501"), (-0.0, "0")],
)  # fmt: skip
def test_numbers_are_readable(value: float, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (1, "100 %"), (0.5, "50.0 %"), (0.00001, "< 0.1 %"), (0.99999, "> 99.9 %")]
)
def test_shares_are_never_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert wording.percent(share) == text


def test_what_is_missing_together() -> None:
    rows = pa.table({"a": ["x", None, None, "y"], "b": ["x", None, None, None], "c": ["1", "2", "3", "4"]})
    found = missing_together(rows)
    assert (found["names"], found["counts"], found["rows"]) == (["a", "b"], [2, 3], 4)
    assert [(pattern["missing"], pattern["count"]) for pattern in found["patterns"]] == [([0, 1], 2), ([], 1), ([1], 1)]
    assert missing_together(rows.select(["c"]))["patterns"] == []


def test_columns_that_go_together() -> None:
    dice = np.random.default_rng(7)
    first, other = dice.integers(0, 4, 2_000), dice.integers(0, 4, 2_000)
    matrix = associations([first, first * 10 + 3, other, np.zeros(2_000, np.int64)])
    assert matrix[0][1] == 1.0
    assert matrix[0][2] is not None
    assert matrix[0][2] < 0.05
    assert matrix[0][3] is None


def test_every_class_is_shown_where_pictures_are_heavy() -> None:
    heavy = "x" * (PICTURE_CHARACTERS // 5)
    samples = [{"label": label, "name": str(number), "picture": heavy} for label in "ab" for number in range(12)]
    shown = [(each["label"], each["name"]) for each in _affordable(samples)]
    assert shown == [("a", "0"), ("a", "1"), ("a", "2"), ("b", "0"), ("b", "1")]
