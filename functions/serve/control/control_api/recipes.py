"""Recipes in requests: an object or YAML text in; the checked document, for a run or for the uploads bucket, out."""

from typing import Annotated, Any

import yaml
from pydantic import Field

from modelmill.core.errors import Rejected
from modelmill.core.limits import RECIPE_BYTES
from modelmill.core.model.recipe import parse_recipe

RecipeField = Annotated[
    dict[str, Any] | str | None, Field(description="A recipe: an object, or the text of a recipe.yaml.")
]


def checked(recipe: dict[str, Any] | str | None) -> dict[str, Any] | None:
    """The fields that the recipe sets, as JSON, or None without one; raises Rejected (`bad_recipe`)."""
    if recipe is None:
        return None
    parsed = parse_recipe(_parsed(recipe) if isinstance(recipe, str) else recipe)
    return parsed.model_dump(mode="json", exclude_unset=True)


def _parsed(text: str) -> Any:
    if len(text.encode(errors="replace")) > RECIPE_BYTES:
        raise Rejected("bad_recipe", "the recipe is too long", limit=RECIPE_BYTES)
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        # ValueError: an impossible date such as 2026-13-45; RecursionError: brackets without end.
        raise Rejected("bad_recipe", "the recipe is not YAML", hint="for example: `target: label`") from None


def as_file(document: dict[str, Any]) -> bytes:
    """The bytes of the recipe.yaml that goes beside an upload."""
    data = yaml.safe_dump(document, allow_unicode=True, sort_keys=False).encode()
    if len(data) > RECIPE_BYTES:
        raise Rejected("bad_recipe", "the recipe is too long", limit=RECIPE_BYTES)
    return data
