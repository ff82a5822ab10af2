"""The data report: figures that are the data's, markup that nothing in the data can change, bytes that repeat."""

import csv
import io
import json
import random
import re
import time
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from modelmill.core.data.accounts import REASONS
from modelmill.core.data.columns import Facts
from modelmill.core.data.plan import make_plan
from modelmill.core.data.version import DatasetVersion, DataWarning, Rows
from modelmill.core.model.recipe import Recipe
from modelmill.frames.profile import Profile
from modelmill.frames.report import wording
from modelmill.frames.report.page import CARDS, first_rows, render
from modelmill.frames.report.stats import statistics
from tests.unit.data.files import flowers_csv, reviews_csv

INLINE = {"b", "bdi", "code", "span"}
TAGS = INLINE | {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "footer", "div", "article", "p"),
    *("h1", "h2", "h3", "ul", "li", "dl", "dt", "dd", "table", "thead", "tr", "th", "td", "br", "svg", "rect", "path"),
    *("img", "details", "summary"),
}
ATTRIBUTES = {
    *(
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "title",
        "scope",
        "aria-hidden",
        "aria-label",
        "role",
    ),
    *("viewbox", "preserveaspectratio", "width", "height", "x", "d", "src", "alt"),
}
VOID = {"meta", "br", "rect", "path", "img"}
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
        assert all((value or "").startswith("data:image/png;base64,") for name, value in attrs if name == "src")
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


def parse(content: str) -> tuple[pa.Table, list[dict[str, Any]]]:
    """Rows of CSV as strings with nulls, and those of another width as they would be quarantined."""
    header, *lines = csv.reader(io.StringIO(content))
    good = [[cell or None for cell in line] for line in lines if len(line) == len(header)]
    columns = {name: pa.array([row[place] for row in good], pa.large_string()) for place, name in enumerate(header)}
    bad = [
        {"row": place, "reason": "ragged_row", "raw": ",".join(line)}
        for place, line in enumerate(lines, start=1)
        if len(line) != len(header)
    ]
    return pa.table(columns), bad


def documents(content: str, recipe: Recipe | None = None, **more: Any) -> tuple[DatasetVersion, dict[str, Any]]:
    """version.json and profile.json of some CSV, of which every other row is for training."""
    rows, quarantine = parse(content)
    profile = Profile.of(rows.combine_chunks().to_batches()[0])
    plan = make_plan(profile.summaries(), recipe or Recipe())
    unlabelled = rows.column(plan.target).is_null().to_pylist()
    quarantine += [
        {"row": place, "reason": "missing_target", "raw": row}
        for place, (row, empty) in enumerate(zip(rows.to_pylist(), unlabelled, strict=True), start=1)
        if empty
    ]
    used = rows.filter(rows.column(plan.target).is_valid())
    names = {"train": used[: len(used) // 2], "validation": used[:0], "test": used[len(used) // 2 :]}
    splits = {name: len(part) for name, part in names.items()}
    measure = plan.task.endswith("-regression")
    classes = {name: Counter(part.column(plan.target).to_pylist()) for name, part in names.items()}
    version = DatasetVersion(
        dataset="flowers",
        version="0123456789abcdef",
        prefix="default/datasets/flowers/0123456789abcdef/",
        sources=[{"bucket": "uploads", "key": "default/flowers/a/flowers.csv", "version_id": "3Lg7"}],
        rows=Rows(read=len(rows) + len(quarantine) - sum(unlabelled), used=len(used), quarantined=len(quarantine)),
        splits=splits,
        columns=list(plan.columns),
        inputs=list(plan.inputs),
        task=plan.task,
        target=plan.target,
        labels=[] if measure else sorted({*classes["train"], *classes["test"]}),
        quarantine=dict(Counter(row["reason"] for row in quarantine)),
        warnings=[*plan.warnings, *more.pop("warnings", [])],
    )
    profiles = profile.as_dict(str, ())
    document = {
        "file": profiles,
        "used": statistics(used, plan, splits, None if measure else classes, more.pop("understood", None)),
        "quarantine": first_rows(sorted(quarantine, key=lambda row: row["row"])),
        "examples": used.slice(0, 5).to_pylist(),
        **more,
    }
    return version, json.loads(json.dumps(document))


def report(content: str, recipe: Recipe | None = None, **more: Any) -> tuple[Page, dict[str, Any], bytes]:
    version, document = documents(content, recipe, **more)
    html = render(version, document)
    return Page(html), document["used"], html


def table(*columns: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(zip(*columns, strict=True))
    return out.getvalue()


def test_figures_are_those_of_the_data() -> None:
    content = flowers_csv(90) + "1,2,red,\n1,2,red,\nragged\n"
    page, used, _ = report(content)
    rows = [line.split(",") for line in flowers_csv(90).splitlines()[1:]]
    lengths = np.array([float(row[0]) for row in rows])
    assert "Rows read 93 Rows used 90 96.8 % Quarantined 3 3.2 %" in page.text
    assert "the target is empty row 91, 92 length: 1; width: 2; colour: red 2 2.2 %" in page.text
    assert "a different number of cells than the header row 93 ragged 1 1.1 %" in page.text
    assert "train 45 50.0 % validation 0 0 % test 45 50.0 %" in page.text
    assert [(entry["value"], entry["count"]) for entry in used["classes"]] == [
        (f"kind-{kind}", 30) for kind in range(3)
    ]
    assert "kind-0 33.3 % – 33.3 %" in page.text
    (column,) = [column for column in used["columns"] if column["name"] == "length"]
    assert column["histogram"]["counts"] == np.histogram(lengths, 24)[0].tolist()
    median = np.quantile(lengths, 0.5, method="nearest")
    assert f"median {wording.number(float(median))}" in page.text
    assert f"min {wording.number(lengths.min())}" in page.text
    colours = [row[2] for row in rows]
    assert f"red {colours.count('red')} {wording.percent(colours.count('red') / 90)}" in page.text


def test_warnings_say_what_to_do() -> None:
    rows = [[str(i % 7), "abcdefg"[i % 7], "no" if i % 7 < 3 else "yes"] for i in range(140)]
    names, letters, classes = (list(column) for column in zip(*rows, strict=True))
    found = [
        DataWarning(code=code, message="x") for code in ("identifiers_ignored", "unlabelled_rows", "leak_suspected")
    ]
    page, used, _ = report(table(["n", *names], ["letter", *letters], ["label", *classes]), warnings=found)
    first = page.text.index("Leak An input gives the target away")
    assert first < page.text.index("Rows without a target") < page.text.index("Keys left out")
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
    assert found <= set(wording.WARNINGS | wording.LEAKS)
    assert set(REASONS) <= set(wording.REASONS)


def test_the_same_version_has_the_same_bytes() -> None:
    assert report(reviews_csv(200))[2] == report(reviews_csv(200))[2]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_in_the_data_becomes_markup(hostile: str) -> None:
    dice = random.Random(3)
    values = [dice.choice([hostile, hostile + "2", "plain"]) for _ in range(60)]
    classes = [dice.choice([hostile, "other"]) for _ in range(60)]
    numbers = [f"{dice.random():.3f}" for _ in range(60)]
    page, _, html = report(table(["n", *numbers], [hostile, *values], ["label", *classes]))
    assert not re.search(r"[\x00-\x08\x0e-\x1f\u202a-\u202e]", html.decode())
    assert all(len(title) <= 300 for title in page.titles)
    assert max(len(word) for word in page.text.split()) <= 120
    if hostile.isprintable() and len(hostile) < 48:
        assert hostile in page.text


def test_a_null_byte_and_half_a_surrogate_are_inert() -> None:
    version, document = documents(flowers_csv())
    row = {"length": "\x00<b>\x00", "width": "\ud83d", "colour": None, "species": "\u2067x"}
    page = Page(render(version, {**document, "examples": [row]}))
    assert "\ufffdx \ufffd<b>\ufffd \ufffd –" in page.text


def test_chinese_names_and_values_are_shown_as_they_are() -> None:
    lines = [f"{i % 40}.5,{'北京' if i % 3 else '上海'},{'好评' if i % 2 else '差评'}" for i in range(80)]
    page, _, _ = report("\n".join(["价格,城市,评价", *lines]) + "\n")
    for word in ("价格", "城市", "评价", "北京", "上海", "好评", "差评"):
        assert word in page.text


def test_a_wide_table_says_what_is_not_shown() -> None:
    dice = random.Random(5)
    header = [f"c{number}" for number in range(1_000)]
    rows = [[f"{dice.random():.4f}" for _ in header] + [dice.choice("ab")] for _ in range(60)]
    content = "\n".join([",".join([*header, "label"]), *(",".join(row) for row in rows)]) + "\n"
    page, used, html = report(content)
    assert f"{CARDS} of 1,001 columns are shown, those that say most about the target." in page.text
    assert "1,000 of 1,001 columns in a table" in page.text
    assert "columns that say less are not shown" in page.text
    assert len(used["columns"]) == 1_001
    assert len(html) < 400_000


def test_everything_that_was_done_is_shown() -> None:
    page, _, _ = report(
        flowers_csv(90),
        actions=[
            {"column": "colour", "action": "whitespace", "count": 7, "examples": [{"before": " red", "after": "red"}]},
            {"column": "colour", "action": "missing", "count": 30, "examples": [{"before": "n/a", "after": None}]},
            {"column": "width", "action": "formula", "count": 2},
        ],
        labels_unified={"kind-0.": "kind-0"},
        masked={"colour": {"email": 3, "phone": 0}, "length": {}},
        split={"by": "group", "group": "plot", "seed": 11, "folds": 5},
        facts={
            "width": {"outliers": {"low": -2.5, "high": 12.5, "count": 4}},
            "colour": {"language": "zh", "html": True},
        },
    )
    assert (
        "colour a mark of a missing value became empty 30 n/a → missing colour spaces around it removed 7 ␣red → red"
        in (page.text)
    )
    assert "kind-0. → kind-0" in page.text
    assert "column email colour 3" in page.text
    assert "same value are on one side (plot). Seed 11. Rows that are not for the test carry a fold: 5." in page.text
    assert "outliers 4" in page.text
    assert "below −2.5 or above 12.5" in page.text
    assert "Chinese HTML" in page.text
    assert "2 like formulas" in page.text
    assert "default/flowers/a/flowers.csv (version 3Lg7)" in page.text


def test_quarantined_rows_are_shown_as_they_came() -> None:
    page, _, _ = report(flowers_csv(60) + "<b>1</b>,2\n5.5,6,green,\n")
    assert "row 61 <b>1</b>,2" in page.text
    assert "length: 5.5; width: 6; colour: green" in page.text


def test_dates_and_yes_and_no_have_charts() -> None:
    dice = random.Random(4)
    days = [f"2024-{dice.randrange(1, 13):02}-{dice.randrange(1, 28):02}" for _ in range(200)]
    content = table(
        ["day", *days], ["paid", *dice.choices(["yes", "no"], k=200)], ["label", *dice.choices("ab", k=200)]
    )
    rows, _ = parse(content)
    plan = make_plan(Profile.of(rows.to_batches()[0]).summaries(), Recipe(), {"day": Facts(date="ymd")})
    found = statistics(rows, plan, {"train": 200}, {"train": {"a": 100, "b": 100}}, {"day": Facts(date="ymd")})
    by_name = {column["name"]: column for column in found["columns"]}
    assert sum(by_name["day"]["dates"]["counts"]) == 200
    assert wording.day(by_name["day"]["dates"]["from"]) == min(days)
    assert wording.day(by_name["day"]["dates"]["to"]) == max(days)


def test_a_measure_has_a_page_of_its_own() -> None:
    dice = random.Random(6)
    areas = [dice.gauss(80, 20) for _ in range(200)]
    prices = [f"{3 * area + dice.gauss(0, 5):.2f}" for area in areas]
    content = table(["area", *(f"{area:.2f}" for area in areas)], ["price", *prices])
    page, used, _ = report(content, Recipe(target="price", task="tabular-regression"))
    assert used["classes"] is None
    assert used["associations"][0]["share"] > 0.3
    assert "price is a measure" in page.text
    assert "Classes" not in page.text


def test_media_are_shown_and_what_is_no_picture_is_not() -> None:
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    uris = ["data:image/png;base64," + data for data in (pixel, '"><script>', "A" * 50_000)]
    media = {
        "kind": "image",
        "count": 12,
        "format": {"PNG": 8, "<b>JPEG</b>": 4},
        "width": {"least": 28, "median": 30.5, "most": 32, "bins": [[28.1, 5], [32, 7]]},
        "notes": {},
        "refused": {},
        "samples": [{"label": "<cat>", "name": '" onerror="x', "picture": uri} for uri in [*uris, "http://x/y.png"]],
    }
    page, _, html = report(flowers_csv(), media=media)
    assert "12 files. Format: PNG (8), <b>JPEG</b> (4)." in page.text
    assert "median 30.5" in page.text
    assert html.count(b"<img ") == 1
    paths = ["M0 5h3v-2z", 'M0"/><script>', "M0 " * 20_000]
    samples = [{"label": "zero", "name": "0.wav", "picture": path} for path in paths]
    page, _, html = report(
        flowers_csv(), media={"kind": "audio", "count": 3, "sample_rate": {"8000": 3}, "samples": samples}
    )
    assert "3 files. Sample rate: 8000." in page.text
    assert html.count(b'class="wave"') == 1


def test_the_page_is_made_for_everybody() -> None:
    """Pictures have a text beside them, tables have headers, and colours stand out from what they are on."""
    _, _, html = report(flowers_csv(90))
    text = html.decode()
    assert text.count("<svg ") == text.count("aria-hidden") + text.count('role="img" aria-label="')
    assert all("scope=" in tag for tag in re.findall(r"<th\b[^>]*>", text))
    style = (Path(wording.__file__).parent / "style.css").read_text(encoding="utf-8")
    for theme in re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]:
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", theme))
        for ink, paper in (
            *(("ink", "paper"), ("ink", "card"), ("soft", "paper"), ("soft", "card"), ("soft", "mark")),
            *(("ink", "warm"), ("ink", "alert"), ("alert-ink", "alert"), ("good-ink", "good"), ("on-strong", "p4")),
            *(("on-strong", "p5"), ("on-strong", "n4"), ("on-strong", "n5"), ("on-weak", "p3"), ("on-weak", "n3")),
        ):
            assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)


def contrast(first: str, second: str) -> float:
    """The ratio of the luminances of two colours (WCAG 2.2)."""
    lights = sorted(_luminance(colour) for colour in (first, second))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_report_is_quick() -> None:
    dice = random.Random(7)
    header = [f"n{i}" for i in range(10)] + [f"c{i}" for i in range(4)] + ["label"]
    lines = [
        [f"{dice.gauss(0, 1):.5f}" for _ in range(10)] + dice.choices(["a", "b", "c", "d"], k=4) + [dice.choice("xy")]
        for _ in range(25_000)
    ]
    content = "\n".join(",".join(line) for line in [header, *lines])
    rows, _ = parse(content)
    plan = make_plan(Profile.of(rows.to_batches()[0]).summaries(), Recipe())
    started = time.process_time()
    statistics(rows, plan, {"train": 25_000}, {"train": {"x": 12_000, "y": 13_000}})
    assert time.process_time() - started < 3  # 0.5 s on a laptop
