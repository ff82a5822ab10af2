"""What a candidate may say of its family."""

from typing import Any

import pytest

from modelmill.core.errors import Rejected
from modelmill.core.model import candidates
from modelmill.core.model.spec import Candidate
from modelmill.training.families import FAMILIES, family_of


@pytest.mark.parametrize(
    ("family", "given", "said"),
    [
        ("gpt", {}, "there is no family 'gpt'"),
        ("tabm", {"widht": 8}, "tabm has no hyperparameter 'widht'"),
        ("tabm", {"width": "wide"}, "width must be a whole number from 0, not 'wide'"),
        ("tabm", {"width": 8.5}, "width must be a whole number"),
        ("tabm", {"width": -8}, "width must be a whole number"),
        ("tabm", {"width": True}, "width must be a whole number"),
        ("tabm", {"dropout": float("nan")}, "dropout must be a number"),
        ("linear", {"scale": 1}, "scale must be true or false"),
        ("boosting", {"leaves": "many"}, "leaves must be a whole number"),
    ],
)
def test_a_candidate_that_cannot_be_is_told_what_is_wrong(family: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(Rejected) as refusal:
        family_of(Candidate(name="mine", family=family, hyperparameters=given))
    assert refusal.value.code == "bad_candidate"
    assert refusal.value.message.startswith(f"mine: {said}")


def test_a_candidate_that_can_be_is_built() -> None:
    made = family_of(Candidate(name="mine", family="boosting", hyperparameters={"leaves": 8, "learning_rate": 1}))
    assert (getattr(made, "leaves", None), getattr(made, "learning_rate", None)) == (8, 1)


def test_recipes_may_name_every_family_that_there_is() -> None:
    assert {family for families in candidates.FAMILIES.values() for family in families} == set(FAMILIES)
