"""Recipes: defaults, and refusals that name the field."""

from typing import Any

import pytest

from modelmill.core.errors import Rejected
from modelmill.core.model.candidates import DEFAULTS, candidates_for
from modelmill.core.model.recipe import Recipe, parse_recipe


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


def test_every_task_tries_at_least_two_candidates() -> None:
    assert all(len(candidates) >= 2 for candidates in DEFAULTS.values())


def test_a_recipe_picks_candidates_by_name() -> None:
    first, second = (candidate.name for candidate in DEFAULTS["text-classification"][:2])
    assert [c.name for c in candidates_for("text-classification", [second, first, second])] == [second, first]
    with pytest.raises(Rejected, match="gpt"):
        candidates_for("text-classification", ["gpt"])
