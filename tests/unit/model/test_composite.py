"""Features of several kinds side by side: what one part reads is what it would read alone."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from modelmill.core.errors import ModelmillError
from modelmill.serving.features import Features

TEXT: dict[str, Any] = {"kind": "text", "inputs": ["t"], "ngrams": [1, 2], "vocabulary": ["a", "b", "a b"]}
TABLE: dict[str, Any] = {
    "kind": "tabular",
    "numbers": ["x"],
    "categories": [{"name": "c", "values": ["u", "v"]}, {"name": "t", "values": ["a"]}],
}
ROWS: dict[str, list[object]] = {"t": ["a b", "a", None], "x": [1, None, "3"], "c": ["u", "never", None]}


def _parts(**parts: dict[str, Any]) -> Features:
    return Features({"kind": "parts", "parts": parts})


def test_each_part_has_the_arrays_that_it_has_alone() -> None:
    arrays = _parts(text=TEXT, table=TABLE).arrays(ROWS)
    alone = {"text": Features(TEXT).arrays(ROWS), "table": Features(TABLE).arrays(ROWS)}
    assert sorted(arrays) == ["table.categories", "table.numbers", "text.counts", "text.ids"]
    for part, expected in alone.items():
        for name, array in expected.items():
            np.testing.assert_array_equal(arrays[f"{part}.{name}"], array)


def test_a_column_that_two_parts_read_is_one_field() -> None:
    assert _parts(text=TEXT, table=TABLE).field_names == ("t", "x", "c")


def test_equal_parts_are_computed_once() -> None:
    arrays = _parts(first=TEXT, second=dict(TEXT), third=TEXT | {"vocabulary": ["b"]}).arrays(ROWS)
    assert arrays["first.ids"] is arrays["second.ids"]
    assert arrays["third.ids"].tolist() == [[1], [0], [0]]


def test_parts_may_have_parts() -> None:
    inner = {"kind": "parts", "parts": {"text": TEXT}}
    assert sorted(_parts(one=inner, two=TABLE).arrays(ROWS))[:2] == ["one.text.counts", "one.text.ids"]


def test_only_texts_is_a_model_of_texts() -> None:
    assert Features(TEXT).is_text
    assert _parts(one=TEXT, two=TEXT).is_text
    assert not _parts(one=TEXT, two=TABLE).is_text


def test_a_kind_that_is_not_known_makes_the_model_unusable() -> None:
    with pytest.raises(ModelmillError) as refusal:
        Features({"kind": "hologram"})
    assert refusal.value.code == "unusable_model"


def test_features_need_no_library_beyond_numpy() -> None:
    """The cold start of every prediction imports them."""
    code = (
        "import sys, modelmill.serving.features; print(*{'PIL', 'soundfile', 'tokenizers', 'torch'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == ""
