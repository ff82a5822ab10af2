"""Which models are tried when the recipe does not say: a few strong families for each task and preset."""

from collections.abc import Sequence

from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Choice, Preset
from modelmill.core.model.spec import Candidate
from modelmill.core.model.task import Reads, Task, reads_of

_NGRAM_LINEAR = Candidate(name="ngram-linear", family="ngram-linear")
_NGRAM_EMBEDDING = Candidate(name="ngram-embedding", family="ngram-embedding")
_LINEAR = Candidate(name="linear", family="linear")
_MLP = Candidate(name="mlp", family="mlp")

PRESETS: dict[Reads, dict[Preset, tuple[Candidate, ...]]] = {
    "text": {
        "fast": (_NGRAM_LINEAR,),
        "balanced": (_NGRAM_LINEAR, _NGRAM_EMBEDDING),
        "quality": (_NGRAM_LINEAR, _NGRAM_EMBEDDING),
    },
    "tabular": {
        "fast": (_LINEAR,),
        "balanced": (_LINEAR, _MLP),
        "quality": (_LINEAR, _MLP),
    },
    "image": {"fast": (), "balanced": (), "quality": ()},
    "audio": {"fast": (), "balanced": (), "quality": ()},
    "mixed": {"fast": (), "balanced": (), "quality": ()},
}
"""What is read, then the preset."""


def candidates_for(task: Task, chosen: Sequence[str | Choice] | None, preset: Preset = "balanced") -> list[Candidate]:
    """The candidates of `task`: the preset's, or those that the recipe names or describes.

    Raises Rejected (`bad_recipe`) for a name that the task does not know. None for a task that has no families.
    """
    presets = PRESETS[reads_of(task)]
    if chosen is None:
        return list(presets[preset])
    known = {candidate.name: candidate for each in presets.values() for candidate in each}
    found = [_candidate(choice, known, task) for choice in chosen]
    return list({candidate.name: candidate for candidate in found}.values())


def _candidate(choice: str | Choice, known: dict[str, Candidate], task: Task) -> Candidate:
    if isinstance(choice, Choice):
        given = choice.model_dump(include={"hyperparameters", "weights"})
        return Candidate(name=choice.name or choice.family, family=choice.family, search=choice.search, **given)
    if choice not in known:
        names = ", ".join(known) or "none yet"
        text = f"candidates: {task} has no candidate {choice!r}"
        raise Rejected("bad_recipe", text, hint=f"{task} knows: {names}")
    return known[choice]
