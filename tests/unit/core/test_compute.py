"""Where a run's jobs run, and how long they may take."""

import pytest

from modelmill.core.model.candidates import candidates_for
from modelmill.core.model.compute import CPU, GPU, compute_of
from modelmill.core.model.prices import dollars_an_hour
from modelmill.core.model.recipe import Choice, Recipe
from modelmill.core.model.task import Task


@pytest.mark.parametrize(
    ("task", "preset", "kind"),
    [
        ("text-classification", "balanced", CPU),
        ("text-classification", "quality", GPU),
        ("tabular-regression", "quality", CPU),
        ("image-classification", "fast", GPU),
        ("audio-classification", "balanced", GPU),
    ],
)
def test_a_gpu_is_taken_for_nets_that_read_text_images_or_sounds(task: Task, preset: str, kind: str) -> None:
    recipe = Recipe.model_validate({"preset": preset})
    candidates = candidates_for(task, None, recipe.preset)
    assert compute_of(recipe, candidates).instance_type == kind
    assert dollars_an_hour("sagemaker", kind, spot=False), "a budget in dollars needs its price"


def test_a_candidate_of_the_recipes_own_counts_and_so_does_its_wish() -> None:
    recipe = Recipe()
    candidates = candidates_for("text-classification", [Choice(family="encoder", name="mine", weights="w")])
    assert compute_of(recipe, candidates).instance_type == GPU
    said = Recipe.model_validate({"compute": {"instance_type": "ml.c5.2xlarge"}})
    assert compute_of(said, candidates).instance_type == "ml.c5.2xlarge"


def test_a_budget_bounds_the_time_of_a_job_with_room_for_its_start() -> None:
    candidates = candidates_for("tabular-classification", ["linear", "boosting"])

    def most(**recipe: object) -> int:
        return compute_of(Recipe.model_validate(recipe), candidates).max_seconds

    assert most() == 3_600
    assert 60 < most(budget={"seconds": 120}) - 60 < 1_200
    assert most(budget={"seconds": 120}, compute={"max_seconds": 300}) == 300
    assert most(budget={"dollars": 0.01}) < most(budget={"dollars": 0.1}) <= 3_600
