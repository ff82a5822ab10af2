"""Token rules, and raw cells to arrays: what training and serving both rely on."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmill.core.data.mask import Pseudonyms
from modelmill.core.errors import ModelmillError
from modelmill.core.model.tokens import ngrams, tokens
from modelmill.serving.features import Features, TextFeatures, number_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't STOP!", ["don", "t", "stop"]),
        ("ＡＢＣ ﬁne", ["abc", "fine"]),  # NFKC
        ("酒店很好", ["酒", "店", "很", "好"]),
        ("오늘 좋다", ["오", "늘", "좋", "다"]),
        ("iPhone手机15", ["iphone", "手", "机", "15"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),  # vowel signs stay inside words
        ("good😀bad", ["good", "😀", "bad"]),
        ("snake_case", ["snake", "case"]),
        ("… \u0000 !?", []),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_ngrams_are_adjacent_and_shorter_ones_come_first() -> None:
    assert list(ngrams(["a", "b", "c"], 1, 3)) == ["a", "b", "c", "a b", "b c", "a b c"]
    assert list(ngrams(["a"], 2, 3)) == []


def _text(**changes: object) -> Features:
    return Features({"kind": "text", "inputs": ["t"], "ngrams": [1, 2], "vocabulary": ["a", "b", "a b"], **changes})


def test_text_rows_are_padded_counts() -> None:
    arrays = _text().arrays({"t": ["a b a b c", "b", ""]})
    assert arrays["ids"].dtype == np.int64
    assert arrays["counts"].dtype == np.float32
    assert arrays["ids"].tolist() == [[1, 2, 3], [2, 0, 0], [0, 0, 0]]
    assert arrays["counts"].tolist() == [[2, 2, 2], [1, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("cell", ["", None, "unknown words", float("nan")])
def test_a_text_without_known_words_is_one_column_of_padding(cell: object) -> None:
    assert _text().arrays({"t": [cell]})["ids"].tolist() == [[0]]


def test_no_rows_is_no_rows() -> None:
    assert _text().arrays({"t": []})["ids"].shape == (0, 1)


def test_ngrams_do_not_cross_columns_and_absent_columns_are_empty() -> None:
    features = _text(inputs=["t", "u"])
    assert features.arrays({"t": ["a"], "u": ["b"]})["ids"].tolist() == [[1, 2]]
    assert features.arrays({"u": ["b"]})["ids"].tolist() == [[2]]
    assert features.field_names == ("t", "u")


def test_a_text_is_cut_at_the_models_own_limit() -> None:
    assert _text(max_tokens=3).arrays({"t": ["a a a a a b"]})["counts"].tolist() == [[3]]


@given(st.lists(st.text(max_size=60), min_size=1, max_size=5))
def test_a_row_has_the_same_counts_alone_and_in_a_batch(texts: list[str]) -> None:
    vocabulary = sorted({gram for text in texts for gram in ngrams(tokens(text), 1, 2)})
    features = TextFeatures({"inputs": ["t"], "ngrams": [1, 2], "vocabulary": vocabulary})
    together = features.arrays({"t": texts})
    for row, text in enumerate(texts):
        alone = features.arrays({"t": [text]})
        width = alone["ids"].shape[1]
        assert together["ids"][row, :width].tolist() == alone["ids"][0].tolist()
        assert not together["counts"][row, width:].any()
        assert alone["counts"].sum() == len(list(ngrams(tokens(text), 1, 2)))


TABULAR = Features({"kind": "tabular", "numbers": ["x"], "categories": [{"name": "c", "values": ["1", "u", "true"]}]})


def test_numbers_and_categories() -> None:
    arrays = TABULAR.arrays({"x": [1, "2.5", None, "?", True], "c": [1.0, " u ", "never seen", None, True]})
    assert arrays["numbers"][:, 0].tolist() == pytest.approx([1, 2.5, math.nan, math.nan, 1], nan_ok=True)
    assert arrays["categories"][:, 0].tolist() == [1, 2, 0, 0, 3]


def test_an_absent_column_is_missing_in_every_row() -> None:
    arrays = TABULAR.arrays({"c": ["u", "u"]})
    assert np.isnan(arrays["numbers"]).all()
    assert arrays["numbers"].shape == (2, 1)


@given(st.one_of(st.floats(), st.integers()))
def test_every_number_stays_finite_in_float32_or_is_missing(value: float) -> None:
    number = number_of(value, "x")
    assert math.isnan(number) or math.isfinite(np.float32(number))


@pytest.mark.parametrize("cell", [[1], {"a": 1}, "twelve"])
def test_what_is_not_a_number_is_refused_by_field_name_without_its_content(cell: object) -> None:
    with pytest.raises(ModelmillError, match="'x'") as refusal:
        TABULAR.arrays({"x": [cell]})
    assert refusal.value.status == 400
    assert "twelve" not in json.dumps(refusal.value.as_dict())


MASK = {"version": 1, "kinds": ["email", "phone"], "columns": ["t", "shop"]}
RAW = "mail alice@example.com or 138 0013 8000 now"


def _stored(text: str) -> str:
    return Pseudonyms(b"k" * 32).mask(text)[0]


def test_a_text_model_reads_kinds_of_raw_and_of_stored_rows() -> None:
    words = ["mail", "maskemail", "or", "maskphone", "now", "maskemail or"]
    features = Features({"kind": "text", "inputs": ["t"], "ngrams": [1, 2], "vocabulary": words, "mask": MASK})
    rows = [RAW, _stored(RAW)]
    assert rows[0] != rows[1]
    assert features.arrays({"t": rows})["ids"].tolist() == [[1, 2, 3, 4, 5, 6]] * 2


def test_a_tabular_model_has_one_category_for_a_kind() -> None:
    categories = [{"name": "shop", "values": ["a", "<maskphone>"]}, {"name": "kept", "values": ["13800138000"]}]
    features = Features({"kind": "tabular", "numbers": [], "categories": categories, "mask": MASK})
    shops = ["a", 13800138000, " 13900139000", _stored("13800138000"), "b"]
    arrays = features.arrays({"shop": shops, "kept": ["13800138000"] * 5})
    assert arrays["categories"].tolist() == [[1, 1], [2, 1], [2, 1], [2, 1], [0, 1]]


def test_a_package_without_masking_reads_as_it_was_trained() -> None:
    assert _text(vocabulary=["alice", "maskemail"]).arrays({"t": [RAW]})["ids"].tolist() == [[1]]


def test_rules_of_another_version_are_refused() -> None:
    with pytest.raises(ModelmillError) as refusal:
        _text(mask=MASK | {"version": 2})
    assert refusal.value.code == "unusable_model"
