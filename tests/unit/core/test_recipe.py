"""Recipes: defaults, and refusals that name the field."""

from typing import Any

import pytest

from modelmill.core.errors import Rejected
from modelmill.core.model.candidates import FAMILIES, PRESETS, candidates_for
from modelmill.core.model.recipe import Choice, Mask, Recipe, parse_recipe


def test_no_recipe_is_a_recipe() -> None:
    assert parse_recipe(None) == parse_recipe({}) == Recipe()


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"taget": "y"}, "taget"),
        ({"split": {"train": 0.9}}, "split"),
        ({"seed": -1}, "seed"),
        ({"compute": {"engine": "kubernetes"}}, "compute.engine"),
        ({"inputs": []}, "inputs"),
        ({"mask": {"colums": {}}}, "mask.colums"),
        ({"mask": {"kinds": ["name"]}}, "mask.kinds"),
        ({"mask": {"columns": {"phone": "hide"}}}, "mask.columns.phone"),
        ({"target": "y", "mask": {"columns": {"y": "hash"}}}, "recipe"),
        ({"inputs": ["x"], "mask": {"columns": {"x": "drop"}}}, "recipe"),
        ({"candidates": [{"family": "tabm", "name": "Name"}]}, "candidates.0.name: String should match"),
        ({"candidates": [{"famly": "tabm"}]}, "candidates.0.family: Field required"),
        (
            {"candidates": ["linear", {"family": "tabm", "search": {"width": {"low": 3, "high": 1}}}]},
            "candidates.1.search.width: low must be below high",
        ),
        ({"split": {"folds": "all"}}, "split.folds: Input should be a valid integer"),
        (["target"], "recipe"),
        ("target", "recipe"),
    ],
)
def test_a_bad_recipe_names_the_field(document: Any, field: str) -> None:
    with pytest.raises(Rejected) as refusal:
        parse_recipe(document)
    assert refusal.value.code == "bad_recipe"
    assert refusal.value.message.startswith(field)
    assert "target" in (refusal.value.hint or "")


def test_every_kind_of_input_has_candidates() -> None:
    assert all(presets["quality"] for presets in PRESETS.values())


def test_a_recipe_picks_candidates_by_name() -> None:
    first, second = (candidate.name for candidate in PRESETS["text"]["quality"][:2])
    assert [c.name for c in candidates_for("text-classification", [second, first, second])] == [second, first]
    with pytest.raises(Rejected, match="gpt"):
        candidates_for("text-classification", ["gpt"])


def test_a_candidate_of_ones_own_is_of_a_family_that_reads_the_inputs() -> None:
    (own,) = candidates_for("tabular-classification", [Choice(family="tabm", hyperparameters={"width": 8})])
    assert (own.name, own.hyperparameters) == ("tabm", {"width": 8})
    for family in ("gpt", "cnn"):
        with pytest.raises(Rejected, match=f"no family '{family}'") as refusal:
            candidates_for("tabular-classification", [Choice(family=family)])
        assert "boosting" in (refusal.value.hint or "")
    named = {candidate.family for presets in PRESETS["tabular"].values() for candidate in presets}
    assert named <= set(FAMILIES["tabular"])


def test_the_mask_of_a_column() -> None:
    mask = parse_recipe({"mask": {"columns": {"a": "keep", "b": "hash"}, "kinds": ["phone", "email"]}}).mask
    assert [mask.mode_of(name) for name in "abc"] == ["keep", "hash", "mask"]
    assert mask.as_preprocess("ac")["mask"]["columns"] == ["c"]
    assert mask.as_preprocess("a") == {}
    assert mask == parse_recipe({"mask": {"columns": {"a": "keep", "b": "hash"}, "kinds": ["email", "phone"]}}).mask
    assert Recipe(mask=Mask(default=False)).mask.mode_of("c") == "keep"
