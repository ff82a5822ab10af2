"""A recipe's budget in, the seconds of one training job out; results in, what they cost out."""

from collections.abc import Iterable
from typing import Any

from modelmill.core.model.prices import dollars_an_hour
from modelmill.core.model.recipe import Compute, Recipe
from modelmill.core.model.select import CandidateResult


def seconds_of_job(recipe: Recipe, jobs: int) -> float | None:
    """How long each of `jobs` jobs may train, or None for as long as it takes: all have equal shares of the budget."""
    limits = [] if recipe.budget.seconds is None else [float(recipe.budget.seconds)]
    price = _dollars_a_second(recipe.compute)
    if recipe.budget.dollars is not None and price is not None:  # the recipe is checked: there is a price
        limits.append(recipe.budget.dollars / price)
    return min(limits) / max(jobs, 1) if limits else None


def spent(results: Iterable[CandidateResult], compute: Compute) -> dict[str, Any]:
    """`{"seconds", "dollars"}` of all training, where the price is known; the start of instances is not in it."""
    seconds = sum(result.train_seconds or 0.0 for result in results)
    price = _dollars_a_second(compute)
    return {"seconds": round(seconds, 1), "dollars": None if price is None else round(seconds * price, 4)}


def _dollars_a_second(compute: Compute) -> float | None:
    price = dollars_an_hour(compute.engine, compute.instance_type, spot=compute.spot)
    return None if price is None else price * compute.instances / 3_600
