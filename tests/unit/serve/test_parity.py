"""What is served is what was trained: a raw cell is read by the endpoint as the stored, cleaned one was in training."""

from typing import Any, Literal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmill.core.data.html import strip_html
from modelmill.core.model.recipe import Clean, Mask, Recipe
from modelmill.core.model.spec import RunSpec
from modelmill.core.model.tokens import tokens
from modelmill.frames.clean import clean
from modelmill.frames.numbers import parse_numbers
from modelmill.serving.features import Reader, TabularFeatures, number_of

MARKUP = ["<br />", "<b>", "</b>", "&amp;", "&lt;p&gt;", "&#8217;", "<3", "&nbsp;", "&#x200b;"]
ODD = ["\u200b", "\ufeff", "\x00", "\x1f", "e\u0301", "é", "ﬁ", "\u3000", "\u00ad", "　", "Ａ", "\u202e", "\x85", "\n"]
raw = st.lists(st.sampled_from(["good", "bad", "不", "错", " ", "1", "x", *MARKUP, *ODD]), min_size=1, max_size=10).map(
    "".join
)
unicodes = st.sampled_from(["nfc", "nfkc", "keep"])
controls = st.sampled_from(["strip", "keep"])


def stored(cell: str, settings: Clean, *, html: bool) -> str | None:
    """A cell as the data phase stores it."""
    batch, _ = clean(pa.RecordBatch.from_arrays([pa.array([cell], pa.large_string())], names=["t"]), settings)
    value: str | None = batch.column(0)[0].as_py()
    return strip_html(value) if html and value is not None else value


def preprocess(settings: Clean, *, html: bool) -> dict[str, Any]:
    return {"clean": {"unicode": settings.unicode, "control": settings.control}, "html": ["t"] if html else []}


@given(raw, unicodes, controls, st.booleans())
def test_texts(
    cell: str, unicode: Literal["nfc", "nfkc", "keep"], control: Literal["strip", "keep"], html: bool
) -> None:
    settings = Clean(unicode=unicode, control=control)
    said = preprocess(settings, html=html)
    text = Reader(said)
    kept = stored(cell, settings, html=html)
    assert text.read(cell, "t") == (kept or "") or kept is None
    assert tokens(text.read(kept, "t")) == tokens(text.read(cell, "t")), (
        "training reads the stored cell by the same code"
    )


@given(raw, unicodes, controls)
def test_categories(cell: str, unicode: Literal["nfc", "nfkc", "keep"], control: Literal["strip", "keep"]) -> None:
    settings = Clean(unicode=unicode, control=control)
    column: dict[str, Any] = {"name": "t", "values": []}
    table = TabularFeatures({"numbers": [], "categories": [column], **preprocess(settings, html=False)})
    assert table.category(cell, "t") == table.category(stored(cell, settings, html=False), "t")


@pytest.mark.parametrize("cell", ["\ufeff12", "1\u200b2", "\u00a012\u3000", "\x0012", "\u202a1,234.5\u202c"])
def test_numbers_with_what_nobody_sees(cell: str) -> None:
    kept = stored(cell, Clean(), html=False)
    assert parse_numbers(pa.array([kept], pa.large_string()))[0].as_py() == number_of(cell, "n")


def test_a_package_that_says_nothing_reads_cells_as_they_come() -> None:
    text = Reader({})
    assert text.read(" <br>a\u200bb", "t") == " <br>a\u200bb"


def test_a_specification_says_how_cells_were_stored() -> None:
    recipe = Recipe(clean=Clean(unicode="nfkc"), mask=Mask(default=False))
    known = {"run_id": "r", "tenant": "t", "dataset": "d", "dataset_version": "v", "data_prefix": "p", "model": "m"}
    spec = RunSpec(
        **known,
        task="text-classification",
        target="y",
        inputs=[],
        labels=[],
        candidates=[],
        recipe=recipe,
        html=["t", "u"],
    )
    assert spec.reading(["t", "w"]) == {"clean": {"unicode": "nfkc", "control": "strip"}, "html": ["t"]}
    text = Reader(spec.reading(["t", "w"]))
    assert [text.read("<b>\uff21\u200b</b>", name) for name in ("t", "w")] == ["A", "<b>A</b>"]
