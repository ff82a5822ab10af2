"""Cleaning: a column is cleaned as each of its cells would be alone, and every action is counted."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelmill.core.data.cells import DECORATED, LONGEST_NUMBER, MISSING, PLAIN, clean_text, undecorated
from modelmill.core.data.columns import ColumnSummary, none_is_class
from modelmill.core.data.labels import TargetForm
from modelmill.core.model.recipe import Clean
from modelmill.frames.cells import Cells, Odd
from modelmill.frames.clean import Actions, apply_target_form, clean, none_as_null
from modelmill.frames.numbers import LARGEST, parse_numbers

ODD = (
    "\x00\t\n\x0b\x1c\x1f\x7f\x85\x9f\xa0\xad e\u0301\u0345\u200b\u200d\u200e\u202e\u2028\u3000\u3099"
    "\ufeffか가\u1100\u1161ﬁＮＡ㎏é中a-?"
)
"""Characters that are white space, control, combining, wide, or in another form than NFC."""
texts = st.text(st.sampled_from(ODD) | st.characters(exclude_categories=["Cs", "Cn"]), max_size=8)
cells = st.lists(st.none() | texts | st.sampled_from(["NA", " NA ", "?", "-1", "-", "=1+1", "12.5"]), max_size=12)


def column(values: Sequence[str | None]) -> pa.Array:
    return pa.array(values, pa.large_string())


def cleaned(values: Sequence[str | None], settings: Clean | None = None) -> tuple[list[str | None], Actions]:
    batch, actions = clean(pa.RecordBatch.from_arrays([column(values)], names=["a"]), settings or Clean())
    batch.validate(full=True)
    return batch.column(0).to_pylist(), actions


def known_alike(text: str) -> bool:
    """False for characters that are younger than one of the two tables of Unicode."""
    return all(
        pa.compute.utf8_normalize(column([c]), form="NFKC")[0].as_py() == unicodedata.normalize("NFKC", c) for c in text
    )


@given(cells, st.sampled_from(["nfc", "nfkc", "keep"]), st.sampled_from(["strip", "keep"]))
@example(["", None, "\ufeff", "NA"], "nfc", "strip")
@example(["e", "\u0301", "か\u3099"], "nfc", "strip")
def test_a_column_is_cleaned_as_its_cells_are(
    values: list[str | None], unicode: Literal["nfc", "nfkc", "keep"], control: Literal["strip", "keep"]
) -> None:
    alike = [value if value is None or unicode != "nfkc" or known_alike(value) else "x" for value in values]
    expected = [None if value is None else clean_text(value, unicode=unicode, control=control) for value in alike]
    found, _ = cleaned(alike, Clean(unicode=unicode, control=control))
    assert found == [None if value in MISSING else value for value in expected]


@given(cells, st.integers(0, 5), st.integers(0, 5))
def test_a_slice_is_cleaned_as_a_column(values: list[str | None], start: int, size: int) -> None:
    batch = pa.RecordBatch.from_arrays([column(values)], names=["a"])
    part, _ = clean(batch.slice(min(start, len(values)), size), Clean())
    assert part.column(0).to_pylist() == cleaned(values)[0][start : start + size]


def test_every_character_is_looked_at() -> None:
    points = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    several = [f"a{character}\u0301" for character in points if unicodedata.category(character) != "Cn"]
    found, _ = cleaned([f"x{character}y" for character in points])
    assert found == [clean_text(f"x{character}y", unicode="nfc", control="strip") for character in points]
    assert cleaned(several)[0] == [clean_text(text, unicode="nfc", control="strip") for text in several]


def test_actions_are_counted() -> None:
    values = [
        " a",
        "b\u3000",
        "c",
        "\x00d",
        "e\u0301",
        "NA",
        "",
        "=cmd|' /C calc'!A0",
        "@SUM(1+1)",
        "-2+3+cmd|'x'",
        "- a",
        "+1",
    ]
    found, actions = cleaned(values)
    assert actions == {
        ("a", "whitespace"): 2, ("a", "control"): 1, ("a", "unicode"): 1, ("a", "missing"): 1, ("a", "formula"): 3,
    }  # fmt: skip
    assert found[:7] == ["a", "b", "c", "d", "é", None, None]
    assert found[7:] == values[7:], "a formula is flagged, not changed"


def test_cells_never_hold_what_stands_between_cells() -> None:
    for control in ("strip", "keep"):
        found, _ = cleaned(["a\x1fb", "\x1c", "c\x0bd"], Clean(control=control))
        assert found[:2] == ["a b", None]


def test_printable_ascii_needs_no_second_look() -> None:
    assert len(Odd.of(Cells.of(column(["all printable ~", "1.5"])).data).places) == 0


numbers = st.from_regex(PLAIN.replace("$", r"\Z")) | st.from_regex(DECORATED.replace("?$", r"?\Z"))
near = st.text("0123456789+-.eE,$€ \u00a0%元AUSD/x", max_size=9)


def number(text: str) -> float | None:
    """By the two expressions alone."""
    bare = text if re.match(PLAIN[:-1] + r"\Z", text) else None
    if bare is None and len(text) < LONGEST_NUMBER and re.match(DECORATED[:-1] + r"\Z", text):
        bare = undecorated(text)
    return float(bare) if bare is not None and abs(float(bare)) <= LARGEST else None


@given(st.lists(st.none() | numbers | near | st.floats(width=32).map(repr) | texts, max_size=20))
@example(["007", "-01", "0", "-0", "0.5", "1-2", "2021-03-04", "+-1", "1e0001"])
@example(["+5", "-.5", "5.", ".", "-", "1/2"])
@example(["1", None, ""])
@example(["E£0€", "EE$1234", "AE£1,000", "E", "1E1000", "E€1"])
def test_numbers_are_what_the_grammar_says(values: list[str | None]) -> None:
    found = parse_numbers(column(values)).to_pylist()
    assert found == [None if value is None else number(value) for value in values]
    assert [parse_numbers(column([value]))[0].as_py() for value in values] == found


@pytest.mark.parametrize(
    ("values", "is_class"),
    [(["None", "Some", "Marked"], True), (["None", "1", "2.5"], False), (["None"], False), (["a", "b"], False),
     (["None", *map(str, range(30))], False), (["None", *(f"w{n}" for n in range(20))], True),
     (["None", *(f"w{n}" for n in range(22))], False)],
)  # fmt: skip
def test_none_is_a_class_among_a_few_words(values: list[str], is_class: bool) -> None:
    count = sum(number(value) is not None for value in values)
    summary = ColumnSummary("a", 100, 0, count, 0, float(len(values)), None, None, 1.0, 0.0)
    assert none_is_class(summary, dict.fromkeys(values, 3)) == is_class


def test_none_as_null() -> None:
    assert none_as_null(column(["None", "a", None])).to_pylist() == [None, "a", None]


def test_a_target_gets_its_form() -> None:
    form = TargetForm(spellings={"YES": "yes"})
    assert apply_target_form(column(["YES", None, "yes", "no"]), form).to_pylist() == ["yes", None, "yes", "no"]
    whole = apply_target_form(column(["1.0", "2", "+3", "0.5", "5%"]), TargetForm(numeric=True))
    assert whole.to_pylist() == ["1", "2", "3", "0.5", "5%"]
    assert apply_target_form(column(["True", "FALSE"]), TargetForm(boolean=True)).to_pylist() == ["true", "false"]


def test_nulls_share_the_bytes() -> None:
    values = column(["a", "NA", "b"] * 10)
    batch, _ = clean(pa.RecordBatch.from_arrays([values], names=["a"]), Clean())
    assert batch.column(0).null_count == 10
    assert np.shares_memory(
        np.frombuffer(batch.column(0).buffers()[2], np.uint8), np.frombuffer(values.buffers()[2], np.uint8)
    )
