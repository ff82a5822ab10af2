"""Slices, the comparison with the serving model, the model card and the report as people get them."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from modelmill.aws import objects
from modelmill.aws.records import models
from modelmill.core.model.recipe import Compute, Recipe
from modelmill.core.model.registration import kept_metrics
from modelmill.core.model.select import CandidateResult
from modelmill.core.model.spec import RunSpec
from modelmill.core.serve.route import Route
from modelmill.training.card import card
from modelmill.training.evaluate import Evidence, metrics
from modelmill.training.evaluate.compare import compare, sign_test
from modelmill.training.evaluate.slices import RowScores, slices
from modelmill.training.report import Facts, render
from modelmill.training.rows import Rows
from tests.unit.model import samples
from tests.unit.model.judging import softmax, spec_of
from tests.unit.model.world import Cloud

HISTORY = [
    {"part": "all rows", "epoch": epoch, "training_loss": 1 / epoch, "validation_loss": 0.5} for epoch in (1, 2, 3)
]
NAMES = ["体育", "<script>alert(1)</script>", "c|d"]
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Checks that tags are balanced; keeps tags and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        # HTML closes these itself.
        while self.open and self.open[-1] != tag and self.open[-1] in {"thead", "tbody", "tr", "td", "th", "li", "p"}:
            self.open.pop()
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: bytes) -> Page:
    """The parsed page."""
    parsed = Page()
    parsed.feed(page.decode())
    assert parsed.open == []
    return parsed


def test_slices_name_where_the_model_is_weak_and_no_more() -> None:
    random = np.random.default_rng(0)
    town = random.choice(np.array(["北京", "Berlin", "Rome", None], dtype=object), 1_000, p=[0.2, 0.4, 0.35, 0.05])
    age = random.integers(0, 100, 1_000)
    right = (random.random(1_000) < np.where(town == "北京", 0.5, 0.9)).astype(float)
    long = ["word " * int(size) for size in random.integers(20, 50, 1_000)]
    columns = {"town": town.tolist(), "age": age.tolist(), "text": long, "image": [b"png"] * 1_000}
    found = slices(columns, RowScores("accuracy", right, is_share=True, is_better_high=True))
    assert [(one["column"], one["value"]) for one in found if one["weak"]] == [("town", "北京")]
    assert found[0]["value"] == "北京"
    assert found[0]["score"]["value"] == pytest.approx(right[town == "北京"].mean(), abs=1e-6)
    assert sum(one["rows"] for one in found if one["column"] == "age") == 1_000
    assert {one["column"] for one in found} == {"town", "age", "text"}
    assert "missing" in {one["value"] for one in found}


def test_slices_of_a_measure_have_the_largest_errors_first() -> None:
    errors = np.r_[np.full(50, 1.0), np.full(50, 9.0)] + np.random.default_rng(1).random(100)
    scores = RowScores("mae", errors, is_share=False, is_better_high=False)
    found = slices({"side": ["low"] * 50 + ["high"] * 50, "few": ["x"] * 29 + ["y"] * 71}, scores)
    assert [(one["value"], one["weak"]) for one in found if one["column"] == "side"] == [("high", True), ("low", False)]
    assert "x" not in {one["value"] for one in found}


def test_where_all_is_right_nothing_is_weak() -> None:
    for rows in range(30, 60):
        scores = RowScores("accuracy", np.ones(rows + 40), is_share=True, is_better_high=True)
        assert not any(one["weak"] for one in slices({"side": ["a"] * rows + ["b"] * 40}, scores))


def test_the_sign_test_is_exact() -> None:
    assert sign_test(5, 5) == 1
    assert sign_test(0, 5) == pytest.approx(2 / 32)
    assert sign_test(1, 9) == pytest.approx(2 * 11 / 1_024)
    assert 0 < sign_test(3_000, 3_300) < 1e-3


def test_models_are_compared_on_the_same_resamples() -> None:
    random = np.random.default_rng(2)
    labels = random.integers(3, size=600)
    logits = random.normal(size=(600, 3)) + np.eye(3)[labels]
    spec, rows = spec_of("text-classification", NAMES), Rows({}, labels)
    good, same = softmax(logits + 0.7 * np.eye(3)[labels]), softmax(logits)
    better, even = compare(good, same, rows, spec), compare(same, same, rows, spec)
    assert (better["verdict"], even["verdict"]) == ("better", "even")
    assert compare(same, good, rows, spec)["verdict"] == "worse"
    assert even["scores"][0]["difference"] == {"value": 0, "low": 0, "high": 0}
    ours, theirs = (answers.argmax(axis=1) == labels for answers in (good, same))
    assert better["mcnemar"]["only_ours"] == (ours & ~theirs).sum()
    truth = random.normal(size=300)
    errors = random.normal(size=(300, 1))
    near, far = ((truth[:, None] + error).astype(np.float32) for error in (errors / 2, errors))
    measured = compare(near, far, Rows({}, truth), spec_of("text-regression"))
    assert measured["verdict"] == "better"


def _facts(kind: str) -> Facts:
    random = np.random.default_rng(3)
    board = [
        CandidateResult(candidate="a", loss=0.5, interval=(0.4, 0.6), parameters=9),
        CandidateResult(candidate="b", error="bad"),
    ]
    evidence = Evidence({"town": random.choice(["北京", "Rome"], 300).tolist()}, 0.8, board[0])
    truth: NDArray[Any]
    answers: NDArray[Any]
    if kind == "regression":
        spec, truth = spec_of("tabular-regression"), random.gamma(2, 10, 300)
        answers = (truth + random.normal(size=300))[:, None]
    elif kind == "multilabel":
        spec, truth = spec_of("text-multilabel", NAMES), (random.random((300, 3)) < 0.4).astype(np.float32)
        answers = (truth + random.random((300, 3))) / 2
    else:
        spec, truth = spec_of("text-classification", NAMES), random.integers(3, size=300)
        answers = softmax(random.normal(size=(300, 3)) + np.eye(3)[truth])
    rows, answers = Rows({}, truth), answers.astype(np.float32)
    optimise = {"chosen": "float32", "why": "fine", "float32": {"bytes": 5_000, "score": 0.9, "row_ms": 0.2}}
    champion = {"version": "4", "may_have_seen_test_rows": True} | compare(answers, answers, rows, spec)
    return Facts(spec, "a", metrics(answers, rows, spec, evidence), board, optimise, champion, HISTORY)


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
def test_the_report_is_one_safe_page_with_all_that_was_found(kind: str) -> None:
    facts = _facts(kind)
    page = render(facts)
    assert page == render(_facts(kind))
    parsed = read(page)
    assert "script" not in parsed.tags
    assert not re.search(rb'(src|href)="(?!data:)', page)
    for words in (
        "What to look at",
        "Candidates",
        "All scores",
        "Learning",
        "Where it is weak",
        "北京",
        "version 4",
        "float32",
    ):
        assert words in parsed.text
    assert "not clearly different from" in parsed.text
    if kind == "regression":
        assert parsed.tags.count("circle") == 2 * len(facts.metrics["points"])
    else:
        assert NAMES[1] in parsed.text
        assert "Reliability" in parsed.text
    assert ("Confusions" in parsed.text) == (kind == "classification")


def test_the_report_tells_what_the_recipe_said_and_no_default() -> None:
    facts = _facts("regression")
    compute = Compute(instance_type="ml.m5.xlarge")
    for said, words in (
        ({}, "The recipe said nothing"),
        ({"target": "标签", "search": {"trials": 3}}, 'The recipe said: {"target": "标签", "search": {"trials": 3}}'),
    ):
        # As jobs read it: with every field, and the type of instance that was chosen.
        recipe = Recipe(**said, compute=compute)
        spec = RunSpec.model_validate_json(facts.spec.model_copy(update={"recipe": recipe}).model_dump_json())
        assert words in read(render(replace(facts, spec=spec))).text


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
def test_the_card_and_the_record_hold_the_scores(kind: str) -> None:
    facts = _facts(kind)
    text = card(facts.spec, "linear", dict(facts.metrics), "int8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Model details", "## Intended use", "## Training and evaluation data", "## Metrics", "## Caveats",
    ]  # fmt: skip
    for name in facts.metrics["headline"]:
        assert f"{facts.metrics[name]['value']:.4g}" in text
    kept = kept_metrics(facts.metrics)
    assert set(facts.metrics["headline"]) <= kept.keys()
    assert len(str(kept)) < 5_000
    assert not {"per_class", "curves", "worst", "slices", "points"} & kept.keys()


def test_a_run_leaves_a_report_and_compares_with_what_serves(cloud: Cloud) -> None:
    splits = {name: samples.reviews(rows, rows) for name, rows in (("train", 200), ("validation", 60), ("test", 80))}
    cloud.put_run("r1", "text-classification", {"text": "text"}, splits)
    digests = []
    for _ in range(2):
        assert cloud.job("train", "r1", "ngram-linear") == 0
        assert cloud.job("package", "r1", "ngram-linear") == 0
        outcome = cloud.json("default/runs/r1/package.json")
        digests.append(outcome["digest"])
        if len(digests) == 1:
            assert outcome["champion"] is None
            record = {"dataset": "things", "dataset_version": "v0", "status": "READY"}
            version, _ = models.register("default", "things", outcome["digest"], record)
            models.set_route("default", "things", Route({version: 1.0}, None), revision=0, who="test")
    assert digests[0] == digests[1]
    champion = outcome["champion"]
    assert (champion["version"], champion["verdict"], champion["may_have_seen_test_rows"]) == ("1", "even", True)
    parsed = read(objects.get("models", "default/runs/r1/report.html"))
    assert "ngram-linear" in parsed.text
    assert "Against the model that serves now" in parsed.text
