"""The recipes of the docs are recipes, and the complete one has every field that the model phase reads."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelmill.core.model.candidates import FAMILIES, candidates_for
from modelmill.core.model.recipe import Recipe, parse_recipe

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "02b-recipe.md").read_text(encoding="utf-8")
BLOCKS = [
    yaml.safe_load(block)
    for page in ("02-model.md", "02b-recipe.md")
    for block in re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
]
ELSEWHERE = {"split", "clean", "mask", "prepare"}
"""Sections that docs/01-data.md describes."""


@pytest.mark.parametrize("document", BLOCKS)
def test_a_recipe_of_the_docs_is_one(document: dict[str, Any]) -> None:
    recipe = parse_recipe(document)
    task = recipe.task or ("text-classification" if "encoder" in str(document) else "tabular-classification")
    assert candidates_for(task, recipe.candidates, recipe.preset, recipe.search)


def test_the_complete_recipe_has_every_field() -> None:
    complete = max(BLOCKS, key=len)
    assert complete.keys() == Recipe.model_fields.keys()
    for name, section in Recipe().model_dump().items():
        if isinstance(section, dict) and name not in ELSEWHERE:
            assert complete[name].keys() == section.keys(), name


def test_every_family_has_a_row() -> None:
    rows = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE))
    assert rows == {family for families in FAMILIES.values() for family in families}
