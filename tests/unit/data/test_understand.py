"""What a sample tells: booleans, dates, languages, markup, media, outliers, and names of what comes after the fact."""

import random
import time

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmill.core.data.columns import Facts, kind_of
from modelmill.core.data.html import has_html, strip_html
from modelmill.core.data.words import is_after_the_fact_name, is_yes_and_no
from modelmill.core.model.recipe import Clean
from modelmill.frames.clean import clean
from modelmill.frames.profile import Profile
from modelmill.frames.understand import outliers, parse_dates, understand


def facts(name: str, *cells: str | None) -> Facts:
    return understand(pa.table({name: pa.array(cells, pa.large_string())}))[name]


@pytest.mark.parametrize(
    "values",
    [("Yes", "no"), ("TRUE", "false", "True"), ("是", "否"), ("J", "N"), ("oui", "Non"), ("有", "无"), ("да", "нет")],
)
def test_yes_and_no(values: tuple[str, ...]) -> None:
    assert is_yes_and_no(values)
    assert facts("a", *values, None).boolean


@pytest.mark.parametrize(
    "values", [("yes",), ("yes", "no", "maybe"), ("0", "1"), ("spam", "ham"), ("yes", "нет"), ("m", "f"), ()]
)
def test_other_pairs_are_no_booleans(values: tuple[str, ...]) -> None:
    assert not is_yes_and_no(values)


def test_bits_are_booleans_and_other_pairs_numbers() -> None:
    batch = pa.RecordBatch.from_pydict(
        {"bit": ["0", "1"] * 20, "grade": ["1", "2"] * 20, "three": ["0", "1", "0", "2"] * 10}
    )
    cast = pa.RecordBatch.from_arrays(
        [column.cast(pa.large_string()) for column in batch.columns], names=batch.schema.names
    )
    assert [kind_of(summary) for summary in Profile.of(cast).summaries()] == ["boolean", "number", "number"]


def test_dates_need_a_format_or_a_name() -> None:
    assert facts("opened", "2021-03-04", None, "2021-12-31").date == "ymd"
    assert facts("ts", "1614852672", "1614852999").date == "seconds"
    assert facts("createdAt", "1614852672123").date == "milliseconds"
    assert facts("amount", "1614852672", "1614852999").date is None
    seconds = parse_dates(pa.array(["2021-03-04", None, "x", "2021-03-04"], pa.large_string()), "ymd")
    assert seconds.to_pylist() == [1_614_816_000.0, None, None, 1_614_816_000.0]


def test_texts_have_a_language_and_perhaps_markup() -> None:
    english = [f"The room was <br/> clean &amp; the staff were friendly, number {n}." for n in range(5)]
    assert facts("review", *english) == Facts(language="en", html=True)
    assert facts("评论", *(f"房间很干净，服务员也很热情，第{n}次来" for n in range(5))) == Facts(language="zh")
    assert facts("sign", *(f"it was <{n} and R&D is > {n} for the team" for n in range(9))) == Facts(language="en")
    assert facts("colour", "red", "blue") == Facts()
    assert facts("nothing", None, None) == Facts()


def test_media_are_known_by_their_cells() -> None:
    digest = "0123456789abcdef" * 2
    assert facts("image", f"{digest}:train/cat/1.PNG", f"{digest}:a.jpeg").media == "image"
    assert facts("audio", f"{digest}:a:b/1.wav").media == "audio"
    assert facts("image", f"{digest}:1.png", "missing").media is None
    assert facts("path", "train/cat/1.png").media is None


def test_facts_do_not_depend_on_the_chunks() -> None:
    cells = [f"2021-03-{day:02}" for day in range(1, 29)] + ["?"]
    one = pa.table({"a": pa.array(cells, pa.large_string())})
    many = pa.concat_tables([one.slice(start, 5) for start in range(0, 30, 5)])
    assert understand(one) == understand(many)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("great<br /><br />film", "great film"),
        ("<p>One</p><p>two &amp; three</p>", "One two & three"),
        ("<b>bo</b>ld", "bold"),
        ("a<!-- hidden <b> -->b", "a b"),
        ("x<script>if (a < b) alert('</p>')</script>y", "x y"),
        ("<STYLE>p {}</STYLE>z", "z"),
        ('<a href="http://x.y/?a=1&b=2">link</a>', "link"),
        ("3 < 4 and 5 > 2", "3 < 4 and 5 > 2"),
        ("I <3 you", "I <3 you"),
        ("<=50K", "<=50K"),
        ("<email:3f9a1c0b72de>", "<email:3f9a1c0b72de>"),
        ("List<String> <unk>", "List<String> <unk>"),
        ("AT&T R&D &copy=1", "AT&T R&D &copy=1"),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold"),
        ("&amp;amp;", "&"),
        ("caf&eacute; &#8364;&#x20AC;", "café €€"),
        ("<!doctype html><html><body>hi</body></html>", "hi"),
        ("<script>never closed", "never closed"),
        ("a <!-- open", "a open"),
        ("&#99999999999; &#0; &bogus;", "&#99999999999; \ufffd &bogus;"),
        ("1&#x1f;2", "12"),
        ("plain  text", "plain  text"),
        ("", ""),
    ],
)
def test_what_is_seen_of_html(text: str, seen: str) -> None:
    assert strip_html(text) == seen


pieces = st.sampled_from(
    [
        "<b>",
        "</b>",
        "<br/>",
        "<script>",
        "</script",
        "<!--",
        "-->",
        "&lt;",
        "&gt;",
        "&amp;",
        "&#60;",
        "<",
        ">",
        "&",
        "b",
        "p>",
        ";",
        "lt",
        " ",
    ]
)


@given(st.lists(pieces, max_size=14).map("".join) | st.text(max_size=30))
def test_stripping_again_changes_nothing(text: str) -> None:
    seen = strip_html(text)
    assert strip_html(seen) == seen
    assert not has_html(seen) or "&" not in text
    assert seen == text or has_html(text) or "<!" in text or "<?" in text


@pytest.mark.parametrize(
    "piece", ["<", "<a ", "<!--", "<script>", "&", "&amp;", "<a '", '<b "', "</", "<p>", "&#", "<style><script>", "<!["]
)
def test_hostile_html_takes_no_longer(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    start = time.process_time()
    strip_html(text)
    assert time.process_time() - start < 4


def test_outliers_are_beyond_the_outer_fences() -> None:
    dice = random.Random(5)
    cells = [f"{dice.gauss(10, 1):.3f}" for _ in range(1_000)] + ["1000", "-500", "NA"]
    batch, _ = clean(pa.RecordBatch.from_arrays([pa.array(cells, pa.large_string())], names=["a"]), Clean())
    column = Profile.of(batch).columns["a"]
    found = outliers(column.quantiles, column.moments.count, batch.column(0))
    assert found is not None
    assert found.examples == (1000.0, -500.0)
    assert 2 <= found.count <= 4
    assert 2 < found.low < 6
    assert 14 < found.high < 18


@pytest.mark.parametrize("cells", [["1", "2", "3", "4"] * 10, ["0"] * 90 + ["7"] * 10, ["a", "b"] * 20, ["1", "900"]])
def test_no_scale_no_outliers(cells: list[str]) -> None:
    column = pa.array(cells, pa.large_string())
    profile = Profile.of(pa.RecordBatch.from_arrays([column], names=["a"])).columns["a"]
    assert outliers(profile.quantiles, profile.moments.count, column) is None


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("closed_at", True),
        ("Resolution", True),
        ("resultCode", True),
        ("结案日期", True),
        ("last_pymnt_amnt", True),
        ("chargedOff", True),
        ("opened_at", False),
        ("age", False),
        ("description", False),
        ("受理日期", False),
        ("paidy", False),
    ],
)
def test_names_of_what_is_known_after_the_fact(name: str, after: bool) -> None:
    assert is_after_the_fact_name(name) == after
