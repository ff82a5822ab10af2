"""The data report: figures that are the data's, markup that nothing in the data can change, bytes that repeat."""

import csv
import io
import json
import random
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from modelmill.core.model.recipe import Recipe
from modelmill.frames.describe import Run, describe
from modelmill.frames.prepare import Prepared, write
from modelmill.frames.report import wording
from modelmill.frames.report.association import code_numbers, code_strings, correlations, explained
from modelmill.frames.report.page import CARDS, render
from modelmill.frames.report.sample import ROWS, sample
from modelmill.frames.report.stats import histogram
from tests.unit.data.files import flowers_csv, prepared, reviews_csv

RUN = Run("20261124T101530-f00dfeed00", "default", "flowers", {"bucket": "b", "key": "default/f/a/f", "size": 1})
INLINE = {"b", "bdi", "code", "span"}
TAGS = INLINE | {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "footer", "div", "article", "p"),
    *("h1", "h2", "h3", "ul", "li", "dl", "dt", "dd", "table", "thead", "tr", "th", "td", "br", "svg", "rect", "path"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "title", "scope", "aria-hidden"),
    *("viewbox", "preserveaspectratio", "width", "height", "x", "d"),
}
VOID = {"meta", "br", "rect", "path"}
HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</style></title><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "\u202eevil\u202c",
    "\x1b[31m\x1a",
    "x" * 10_000,
    "&lt;b&gt; &amp;",
    "]]><!-- -->",
]


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails on what does not nest or is not on the lists above."""

    def __init__(self, html: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.parts: list[str] = []
        self.titles: list[str] = []
        text = html.decode("utf-8")
        self.feed(text)
        self.close()
        assert self.open == []
        assert text.count("<!") == 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        assert {name for name, _ in attrs} <= ATTRIBUTES
        self.titles += [value or "" for name, value in attrs if name == "title"]
        if tag not in INLINE:
            self.parts.append(" ")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.parts).split())


def stored(result: Prepared, folder: Path) -> dict[str, bytes]:
    version, _ = describe(result, Recipe(), RUN)
    return {path.name: path.read_bytes() for path in write(result, version, folder)}


def report(folder: Path, content: str, recipe: Recipe | None = None) -> tuple[Page, dict[str, Any], bytes]:
    files = stored(prepared(folder, content, recipe=recipe), folder)
    return Page(files["report.html"]), json.loads(files["profile.json"])["used"], files["report.html"]


def table(*columns: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(zip(*columns, strict=True))
    return out.getvalue()


def test_figures_are_those_of_the_data(tmp_path: Path) -> None:
    content = flowers_csv(90) + "1,2,red,\n1,2,red,\nragged\n"
    page, used, _ = report(tmp_path, content)
    rows = [line.split(",") for line in flowers_csv(90).splitlines()[1:]]
    lengths = np.array([float(row[0]) for row in rows])
    assert "Rows read 93 Rows used 90 96.8 % Quarantined 3 3.2 %" in page.text
    assert "the target is empty row 91, 92 2 2.2 %" in page.text
    assert "a different number of cells than the header row 93 1 1.1 %" in page.text
    assert "train 66 73.3 % validation 12 13.3 % test 12 13.3 %" in page.text
    assert used["classes"] == [{"value": f"kind-{kind}", "count": 30} for kind in range(3)]
    (column,) = [column for column in used["columns"] if column["name"] == "length"]
    assert column["histogram"]["counts"] == np.histogram(lengths, 24)[0].tolist()
    median = np.quantile(lengths, 0.5, method="nearest")
    assert f"median {wording.number(float(median))}" in page.text
    assert f"min {wording.number(lengths.min())}" in page.text
    colours = [row[2] for row in rows]
    assert f"red {colours.count('red')} {wording.percent(colours.count('red') / 90)}" in page.text


def test_warnings_say_what_to_do(tmp_path: Path) -> None:
    rows = [[str(i % 7), "abcdefg"[i % 7], "no" if i % 7 < 3 else "yes"] for i in range(140)]
    names, letters, classes = (list(column) for column in zip(*rows, strict=True))
    page, used, _ = report(tmp_path, table(["n", *names], ["letter", *letters], ["label", *classes]))
    assert "An input gives the target away" in page.text
    assert "leave it out: list the other columns as inputs: in recipe.yaml" in page.text
    assert {entry["name"]: entry["share"] > 0.9 for entry in used["associations"]} == {"n": True, "letter": True}
    assert "letter too good?" in page.text


def test_every_warning_has_words() -> None:
    found = set()
    layers = Path(__file__).parents[3] / "layers"
    for part in ("core/python/modelmill/core/data", "frames/python/modelmill/frames"):
        for path in (layers / part).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            found |= set(re.findall(r'DataWarning\(\s*code="([a-z_]+)"', text))
    assert len(found) >= 8
    assert found <= set(wording.WARNINGS)


def test_the_same_version_has_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert report(tmp_path / "a", reviews_csv(200))[2] == report(tmp_path / "b", reviews_csv(200))[2]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_in_the_data_becomes_markup(tmp_path: Path, hostile: str) -> None:
    dice = random.Random(3)
    values = [dice.choice([hostile, hostile + "2", "plain"]) for _ in range(60)]
    classes = [dice.choice([hostile, "other"]) for _ in range(60)]
    numbers = [f"{dice.random():.3f}" for _ in range(60)]
    page, _, html = report(tmp_path, table(["n", *numbers], [hostile, *values], ["label", *classes]))
    assert not re.search(r"[\x00-\x08\x0e-\x1f\u202a-\u202e]", html.decode())
    assert all(len(title) <= 300 for title in page.titles)
    assert max(len(word) for word in page.text.split()) <= 120
    if hostile.isprintable() and len(hostile) < 48:
        assert hostile in page.text


def test_a_null_byte_and_half_a_surrogate_are_inert(tmp_path: Path) -> None:
    result = prepared(tmp_path, flowers_csv())
    version, _ = describe(result, Recipe(), RUN)
    document = json.loads(stored(result, tmp_path)["profile.json"])
    row = {"length": "\x00<b>\x00", "width": "\ud83d", "colour": None, "species": "\u2067x"}
    page = Page(render(version, document, result.quarantine, [row]))
    assert "\ufffdx \ufffd<b>\ufffd \ufffd –" in page.text


def test_chinese_names_and_values_are_shown_as_they_are(tmp_path: Path) -> None:
    lines = [f"{i % 40}.5,{'北京' if i % 3 else '上海'},{'好评' if i % 2 else '差评'}" for i in range(80)]
    page, _, _ = report(tmp_path, "\n".join(["价格,城市,评价", *lines]) + "\n")
    for word in ("价格", "城市", "评价", "北京", "上海", "好评", "差评"):
        assert word in page.text


def test_a_wide_table_says_what_is_not_shown(tmp_path: Path) -> None:
    dice = random.Random(5)
    header = [f"c{number}" for number in range(1_000)]
    rows = [[f"{dice.random():.4f}" for _ in header] + [dice.choice("ab")] for _ in range(60)]
    content = "\n".join([",".join([*header, "label"]), *(",".join(row) for row in rows)]) + "\n"
    page, used, html = report(tmp_path, content)
    assert f"{CARDS} of 1,001 columns are shown, those that say most about the target;" in page.text
    assert "columns that say less are not shown" in page.text
    assert len(used["columns"]) == 1_001
    assert len(html) < 2_000_000


def test_the_cost_does_not_grow_with_the_rows() -> None:
    rows = pa.table({"n": pa.array([str(number) for number in range(200_000)], pa.large_string())})
    some = sample(rows, np.arange(0, 200_000, 2))
    assert some.num_rows == ROWS
    assert some.column("n")[0].as_py() == "0"
    assert some.column("n")[-1].as_py() == "199998"
    long = pa.table({"t": pa.array(["x" * 1_000_000] * 200, pa.large_string())})
    assert sample(long, np.arange(200)).num_rows == 100


def test_a_report_is_quick(tmp_path: Path) -> None:
    dice = random.Random(7)
    header = [f"n{i}" for i in range(10)] + [f"c{i}" for i in range(4)] + ["label"]
    lines = [
        [f"{dice.gauss(0, 1):.5f}" for _ in range(10)] + dice.choices(["a", "b", "c", "d"], k=4) + [dice.choice("xy")]
        for _ in range(25_000)
    ]
    result = prepared(tmp_path, "\n".join(",".join(line) for line in [header, *lines]))
    started = time.process_time()
    stored(result, tmp_path)
    assert time.process_time() - started < 3  # 0.5 s on a laptop, files of rows included


def test_explained_is_the_share_of_the_entropy() -> None:
    dice = np.random.default_rng(1)
    classes = dice.integers(0, 3, 5_000)
    assert explained(classes * 7, classes) > 0.99
    assert explained(dice.integers(0, 50, 5_000), classes) < 0.01
    assert explained(np.zeros(10, np.int64), np.zeros(10, np.int64)) == 0
    spike = np.where(classes == 0, dice.random(5_000) * 1_000, 0.0)  # most are 0, the others say the class
    assert explained(code_numbers(spike), (classes == 0).astype(np.int64)) > 0.99


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
