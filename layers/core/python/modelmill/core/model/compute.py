"""The recipe and the candidates in, where the run's jobs run out: what `auto` means, and how long a job may take."""

import math
from collections.abc import Iterable

from modelmill.core.model.budget import seconds_of_job
from modelmill.core.model.recipe import Compute, Recipe
from modelmill.core.model.spec import Candidate

CPU, GPU = "ml.m5.xlarge", "ml.g5.xlarge"
"""Types in every region. The GPU is one that computes in bf16: it costs twice the older one, and is thrice as fast."""
DEEP = frozenset({"encoder", "cnn", "backbone", "log-mel-cnn", "fusion"})
"""Families whose nets read text, images or sounds whole: on a CPU they take many times as long, and as much money."""
_GRACE_SECONDS = 900
"""For the start of a job, its data and its results, beside the training itself."""


def compute_of(recipe: Recipe, candidates: Iterable[Candidate]) -> Compute:
    """The recipe's compute with a type of instance, and no longer than its budget.

    The budget ends a training in good order; only what hangs meets the limit of the job.
    """
    candidates, compute = list(candidates), recipe.compute
    if compute.instance_type == "auto":
        kind = GPU if any(candidate.family in DEEP for candidate in candidates) else CPU
        compute = compute.model_copy(update={"instance_type": kind})
    seconds = seconds_of_job(recipe.model_copy(update={"compute": compute}), len(candidates))
    if seconds is None:
        return compute
    return compute.model_copy(update={"max_seconds": min(compute.max_seconds, math.ceil(seconds) + _GRACE_SECONDS)})
