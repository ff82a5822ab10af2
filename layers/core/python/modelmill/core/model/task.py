"""Tasks: what a model reads and what kind of answer it learns, and the one name that says both."""

from typing import Literal, cast, get_args

Reads = Literal["text", "tabular", "image", "audio", "mixed"]
"""`mixed` reads columns of several of the others in one model."""
Answers = Literal["classification", "multilabel", "regression"]
"""One class of several, any number of labels, or a measure."""
Task = Literal[
    "text-classification",
    "text-multilabel",
    "text-regression",
    "tabular-classification",
    "tabular-multilabel",
    "tabular-regression",
    "image-classification",
    "image-multilabel",
    "image-regression",
    "audio-classification",
    "audio-multilabel",
    "audio-regression",
    "mixed-classification",
    "mixed-multilabel",
    "mixed-regression",
]
TAG_SEPARATOR = "|"
"""Between the tags of a row, in the target column of a version and in answers."""
TASKS: tuple[Task, ...] = get_args(Task)


def task_of(reads: Reads, answers: Answers) -> Task:
    """The task's name."""
    return cast(Task, f"{reads}-{answers}")


def reads_of(task: Task) -> Reads:
    """What its models read."""
    return cast(Reads, task.partition("-")[0])


def answers_of(task: Task) -> Answers:
    """What its models answer."""
    return cast(Answers, task.partition("-")[2])
