"""The recipe file: the bytes of recipe.yaml in, a validated recipe out."""

import yaml

from modelmill.core.errors import Rejected
from modelmill.core.limits import RECIPE_BYTES
from modelmill.core.model.recipe import Recipe, parse_recipe


def read_recipe(data: bytes) -> Recipe:
    """A recipe from YAML (or JSON, which is YAML); raises Rejected (`bad_recipe`)."""
    if len(data) > RECIPE_BYTES:
        raise Rejected("bad_recipe", f"the recipe has {len(data):,} bytes", limit=RECIPE_BYTES)
    try:
        document = yaml.safe_load(data)
    except yaml.MarkedYAMLError as error:
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Rejected("bad_recipe", f"the recipe is not YAML{where}: {error.problem}", hint=_HINT) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        # ValueError: an impossible date such as 2026-13-45; RecursionError: brackets without end.
        raise Rejected("bad_recipe", "the recipe is not YAML", hint=_HINT) from None
    return parse_recipe(document)


_HINT = "for example: `target: label`"
