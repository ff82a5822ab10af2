"""The plan of a dataset: column summaries, facts and the recipe in; task, target, inputs and warnings out. Pure.

A model reads images, sounds, texts, numbers and categories, or (`mixed`) several of them. Dates are read by none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelmill.core.data.columns import (
    MAX_CATEGORIES,
    NOTHING,
    ColumnSummary,
    Facts,
    input_kind,
    is_regression_target,
    kind_of,
    listed,
)
from modelmill.core.data.target import Guess, guess_target
from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.core.limits import MAX_CLASSES
from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Column, ColumnKind
from modelmill.core.model.task import Answers, Reads, Task, answers_of, reads_of, task_of

_TABULAR: tuple[ColumnKind, ...] = ("number", "category", "boolean")
_KINDS: dict[Reads, tuple[ColumnKind, ...]] = {
    "text": ("text",), "tabular": _TABULAR, "image": ("image",), "audio": ("audio",),
    "mixed": ("text", *_TABULAR, "image", "audio"),
}  # fmt: skip
"""What a model reads, and the kinds of columns that are it."""
_NAMES: dict[Reads, str] = {
    "text": "text", "tabular": "numbers and categories", "image": "images", "audio": "sounds", "mixed": "all of these",
}  # fmt: skip
_MEDIA: tuple[Reads, ...] = ("image", "audio")
_NAME_LIKE_WORDS = 8.0
"""Shorter text than this beside several other columns is a name or an address, not the subject."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be learnt from what. `columns` are all columns of the file, `inputs` those that the model reads."""

    task: Task
    target: str
    inputs: tuple[Column, ...]
    columns: tuple[Column, ...]
    warnings: tuple[DataWarning, ...]


def make_plan(summaries: Sequence[ColumnSummary], recipe: Recipe, facts: Mapping[str, Facts] | None = None) -> Plan:
    """The plan of a file with these columns under this recipe; `facts` of a sample tell what summaries do not.

    Raises Rejected: empty_file, one_column, bad_recipe, missing_target, missing_input, one_class, too_many_classes,
    not_a_measure, no_usable_input.
    """
    _check_table(summaries)
    by_name = {summary.name: summary for summary in summaries}
    _check_names(by_name, recipe)
    kinds = {s.name: kind_of(s, (facts or {}).get(s.name, NOTHING)) for s in summaries}
    guess = Guess(recipe.target) if recipe.target else _guess(summaries, kinds, recipe)
    target = by_name[guess.name]
    _check_target(target)
    chosen = [s for s in summaries if s is not target and (recipe.inputs is None or s.name in recipe.inputs)]
    tags = (facts or {}).get(target.name, NOTHING).tags is not None
    reads, answers = _what_is_read(chosen, kinds, recipe.task), _answers(target, recipe.task, tags=tags)
    if answers == "classification":
        _check_classes(target)
    task = task_of(reads, answers)
    inputs = _inputs(reads, chosen, kinds, explicit=recipe.inputs is not None)
    if not inputs:
        raise _no_inputs(task, chosen, kinds)
    used = {column.name for column in inputs}
    kinds[target.name] = "number" if answers == "regression" else "category"
    return Plan(
        task,
        target.name,
        tuple(inputs),
        tuple(Column(name=s.name, kind=kinds[s.name]) for s in summaries),
        (*_doubts(guess), *_warnings(task, reads, [s for s in chosen if s.name not in used], kinds),
         *_not_numbers([s for s in chosen if s.name in used])),
    )  # fmt: skip


def _guess(summaries: Sequence[ColumnSummary], kinds: Mapping[str, ColumnKind], recipe: Recipe) -> Guess:
    """The target of a file: no date, image, sound or input of the recipe, and numbers if its task is to measure."""
    inputs = recipe.inputs or ()
    found = [s for s in summaries if kinds[s.name] not in ("date", "image", "audio") and s.name not in inputs]
    if recipe.task and answers_of(recipe.task) == "regression":
        found = [s for s in found if s.is_number] or found
    return guess_target(found)


def _doubts(guess: Guess) -> list[DataWarning]:
    """That the target was guessed, where another column could be it."""
    if not guess.rivals:
        return []
    text = (
        f"no column has the name of a target; {guess.name!r} was taken. To predict another column, such as"
        f" {listed(guess.rivals[:5])}, name it in recipe.yaml: `target: COLUMN`"
    )
    return [DataWarning(code="target_guessed", message=text)]


def _check_table(summaries: Sequence[ColumnSummary]) -> None:
    if not summaries or summaries[0].rows == 0:
        raise Rejected("empty_file", "the file has no rows", hint="a header and at least 20 rows below it")
    if len(summaries) == 1:
        raise Rejected(
            "one_column",
            f"the file has one column only ({summaries[0].name[:80]!r}): inputs and a target need two",
            hint="separate columns by commas, tabs or semicolons, with the column names in the first row",
        )


def _check_names(by_name: dict[str, ColumnSummary], recipe: Recipe) -> None:
    columns = listed(list(by_name))
    if recipe.target is not None and recipe.target not in by_name:
        raise Rejected(
            "missing_target", f"there is no column {recipe.target!r}", hint=f"target must be one of: {columns}"
        )
    for name in recipe.inputs or ():
        if name not in by_name or name == recipe.target:
            why = "is the target" if name == recipe.target else "is not in the file"
            raise Rejected("missing_input", f"the input {name!r} {why}", hint=f"the columns are: {columns}")
    for name in recipe.evaluation.slices:
        if name not in by_name:
            text = f"evaluation.slices: there is no column {name!r}"
            raise Rejected("bad_recipe", text, hint=f"the columns are: {columns}")


_OTHER_TARGET = "name another target in recipe.yaml: `target: COLUMN`"


def _check_target(summary: ColumnSummary) -> None:
    name = summary.name
    if summary.values == 0:
        raise Rejected("missing_target", f"the target {name!r} has no values", hint=_OTHER_TARGET)
    if summary.distinct < 1.5:
        raise Rejected(
            "one_class", f"the target {name!r} has one class only: nothing to tell apart", hint=_OTHER_TARGET
        )


def _answers(target: ColumnSummary, task: Task | None, *, tags: bool) -> Answers:
    """Whether the target measures, or its cells are lists (`tags`); the recipe's task decides, if there is one."""
    if task is None:
        return "regression" if is_regression_target(target) else "multilabel" if tags else "classification"
    if answers_of(task) == "regression" and not target.is_number:
        text = f"the target {target.name!r} of a {task} has values that are no numbers"
        raise Rejected("not_a_measure", text, hint=f"choose a classification, or {_OTHER_TARGET}")
    return answers_of(task)


def _check_classes(target: ColumnSummary) -> None:
    keys = target.distinct > 50 and target.distinct_ratio > 0.5
    if keys or target.distinct > 1.1 * MAX_CLASSES:
        text = f"the target {target.name!r} has about {target.distinct:.0f} classes in {target.values} rows"
        raise Rejected("too_many_classes", text, limit=MAX_CLASSES, hint=_OTHER_TARGET)


def _what_is_read(chosen: Sequence[ColumnSummary], kinds: Mapping[str, ColumnKind], task: Task | None) -> Reads:
    if task is not None:
        return reads_of(task)
    found: list[Reads] = [reads for reads in _MEDIA if any(kinds[s.name] == reads for s in chosen)]
    long = any(kinds[s.name] == "text" and s.is_long_text for s in chosen)
    if long if found else _texts_are_the_subject(chosen, kinds):
        found.append("text")
    if any(kinds[s.name] in _TABULAR for s in chosen):
        found.append("tabular")
    return found[0] if len(found) == 1 else "mixed" if found else "tabular"


def _texts_are_the_subject(chosen: Sequence[ColumnSummary], kinds: Mapping[str, ColumnKind]) -> bool:
    others = [s for s in chosen if kinds[s.name] in _KINDS["tabular"]]
    long = [s for s in chosen if kinds[s.name] == "text" and s.is_long_text]
    if long:
        name_like = all(s.mean_words < _NAME_LIKE_WORDS and s.mean_cjk < 2 * _NAME_LIKE_WORDS for s in long)
        return not (name_like and len(others) > 3)
    return not others and any(_may_be_text(s, kinds) for s in chosen)


def _may_be_text(summary: ColumnSummary, kinds: Mapping[str, ColumnKind]) -> bool:
    return not summary.is_number and summary.values > 0 and kinds[summary.name] not in ("date", "image", "audio")


def _inputs(
    reads: Reads, chosen: Sequence[ColumnSummary], kinds: Mapping[str, ColumnKind], *, explicit: bool
) -> list[Column]:
    """The columns that a model reads, as it reads them. A recipe that names inputs overrules what is left out."""
    if reads in ("image", "audio"):
        return [Column(name=s.name, kind=kinds[s.name]) for s in chosen if kinds[s.name] == reads]
    if reads == "mixed":
        return _mixed(chosen, kinds, explicit=explicit)
    if reads == "text":
        texts = [s for s in chosen if kinds[s.name] == "text"]
        if not texts or explicit:
            texts = [s for s in chosen if _may_be_text(s, kinds) and kinds[s.name] != "constant"]
        return [Column(name=s.name, kind="text") for s in texts]
    return _table_columns(chosen, kinds, explicit=explicit)


def _mixed(chosen: Sequence[ColumnSummary], kinds: Mapping[str, ColumnKind], *, explicit: bool) -> list[Column]:
    """Columns of every kind that a model reads, in the order of the file."""
    others = [s for s in chosen if kinds[s.name] not in ("text", "image", "audio")]
    table = {column.name: column for column in _table_columns(others, kinds, explicit=explicit)}
    as_they_are = {s.name: Column(name=s.name, kind=kinds[s.name]) for s in chosen if s not in others}
    return [(table | as_they_are)[s.name] for s in chosen if s.name in table or s.name in as_they_are]


def _table_columns(chosen: Sequence[ColumnSummary], kinds: Mapping[str, ColumnKind], *, explicit: bool) -> list[Column]:
    columns = []
    for summary in chosen:
        kind = input_kind(summary, kinds[summary.name])
        if explicit and kind in ("identifier", "text", "date"):
            kind = _forced(summary)
        if kind in ("number", "category"):
            columns.append(Column(name=summary.name, kind=kind))
    return columns


def _forced(summary: ColumnSummary) -> ColumnKind:
    if summary.is_number:
        return "number"
    return "category" if summary.distinct <= MAX_CATEGORIES else "identifier"


def _no_inputs(task: Task, chosen: Sequence[ColumnSummary], kinds: Mapping[str, ColumnKind]) -> Rejected:
    seen = listed([f"{s.name} ({kinds[s.name]})" for s in chosen])
    reads = reads_of(task)
    need = f"a column of kind {reads}" if reads in ("text", *_MEDIA) else "a column of numbers or categories"
    return Rejected(
        "no_usable_input",
        f"{task} needs {need} beside the target; there is: {seen or 'nothing'}",
        hint="name columns in recipe.yaml (`inputs: [COLUMN, ...]`) or another `task`",
    )


def _warnings(
    task: Task, reads: Reads, left_out: Sequence[ColumnSummary], kinds: Mapping[str, ColumnKind]
) -> list[DataWarning]:
    """What was left out, and why."""
    readable = [kind for kind in _KINDS["mixed"] if kind not in _KINDS[reads]]

    def names(*wanted: ColumnKind) -> str:
        return listed([s.name for s in left_out if kinds[s.name] in wanted])

    messages = (
        ("columns_ignored", names(*readable), f"a {task} model reads {_NAMES[reads]}; left out"),
        ("identifiers_ignored", names("identifier"), "are keys, with (nearly) a value of its own per row; left out"),
        (
            "dates_ignored",
            names("date"),
            "are dates or times, which no model reads; `split: {by: time, time: COLUMN}` tests on the latest rows",
        ),
        ("constants_ignored", names("constant"), "have one value or (nearly) none; left out"),
    )
    return [DataWarning(code=code, message=f"{text}: {columns}") for code, columns, text in messages if columns]


def _not_numbers(used: Sequence[ColumnSummary]) -> list[DataWarning]:
    mixed = listed([s.name for s in used if s.is_number and s.numbers < s.values])
    text = "are columns of numbers with a few other values, which count as missing"
    return [DataWarning(code="not_numbers", message=f"{text}: {mixed}")] if mixed else []
