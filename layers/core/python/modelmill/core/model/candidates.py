"""Which models are tried for a task when the recipe does not say: a few strong families, chosen by validation."""

from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Task
from modelmill.core.model.spec import Candidate

DEFAULTS: dict[Task, tuple[Candidate, ...]] = {
    "text-classification": (
        Candidate(name="ngram-linear", family="ngram-linear", hyperparameters={"vocabulary": 100_000}),
        Candidate(name="ngram-embedding", family="ngram-embedding", hyperparameters={"dim": 16, "epochs": 12}),
    ),
    "tabular-classification": (
        Candidate(name="linear", family="linear"),
        Candidate(name="mlp", family="mlp", hyperparameters={"hidden": 64, "epochs": 60}),
    ),
}


def candidates_for(task: Task, names: list[str] | None) -> list[Candidate]:
    """The candidates of `task`, or those of them that `names` picks; raises Rejected (`bad_recipe`) if unknown.

    None for a task that has no model families yet.
    """
    known = {candidate.name: candidate for candidate in DEFAULTS.get(task, ())}
    if names is None or not known:
        return list(known.values())
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Rejected(
            "bad_recipe",
            f"candidates: {task} has no candidate {unknown[0]!r}",
            hint=f"{task} knows: {', '.join(known)}",
        )
    return [known[name] for name in dict.fromkeys(names)]
