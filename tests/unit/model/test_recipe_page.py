"""The page of the recipe tells the hyperparameters that families have, and the defaults that they have."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from modelmill.core.model.candidates import SPACES
from modelmill.core.model.spec import Candidate
from modelmill.training.families import FAMILIES, family_of

PAGE = (Path(__file__).parents[3] / "docs/02b-recipe.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_what_the_page_says(name: str) -> None:
    (row,) = (line.split("|") for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
    family: Any = family_of(Candidate(name=name, family=name))
    defaults = dataclasses.asdict(family)
    assert set(re.findall(r"`(\w+)`", row[2])) == defaults.keys()
    told = dict(re.findall(r"`(\w+)` ([\d.e-]+|true|false)", row[2]))
    said = {field: str(value).lower() if isinstance(value, bool) else value for field, value in defaults.items()}
    assert {field: value if value in ("true", "false") else float(value) for field, value in told.items()} == {
        field: value for field, value in said.items() if value is not None
    }
    assert set(re.findall(r"`(\w+)`", row[3])) == SPACES.get(name, {}).keys()
