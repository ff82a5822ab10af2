"""The plan of a dataset: column summaries and the recipe in; task, target, inputs and warnings out. Pure.

In this version a model reads either text columns or the others: where both are there, `columns_ignored` says
what was left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from modelmill.core.data.columns import MAX_CATEGORIES, ColumnSummary, is_regression_target, kind_of, listed
from modelmill.core.data.target import Guess, guess_target
from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.core.limits import MAX_CLASSES
from modelmill.core.model.recipe import Recipe, Task
from modelmill.core.model.spec import Column, ColumnKind

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


def make_plan(summaries: Sequence[ColumnSummary], recipe: Recipe) -> Plan:
    """The plan of a file with these columns under this recipe.

    Raises Rejected: empty_file, one_column, missing_target, missing_input, one_class, too_many_classes,
    regression_unsupported, no_usable_input.
    """
    _check_table(summaries)
    by_name = {summary.name: summary for summary in summaries}
    _check_names(by_name, recipe)
    guess = Guess(recipe.target) if recipe.target else guess_target(summaries)
    target = guess.name
    _check_target(by_name[target], named=recipe.target is not None)
    chosen = [s for s in summaries if s.name != target and (recipe.inputs is None or s.name in recipe.inputs)]
    kinds = {s.name: kind_of(s) for s in summaries} | {target: "category"}
    task = recipe.task or _guess_task(chosen, kinds)
    inputs = _inputs(task, chosen, kinds, explicit=recipe.inputs is not None)
    if not inputs:
        raise _no_inputs(task, chosen, kinds)
    used = {column.name for column in inputs}
    return Plan(
        task,
        target,
        tuple(inputs),
        tuple(Column(name=s.name, kind=kinds[s.name]) for s in summaries),
        (*_doubts(guess), *_warnings(task, [s for s in chosen if s.name not in used], by_name, kinds, used)),
    )


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


def _check_target(summary: ColumnSummary, *, named: bool) -> None:
    hint = "name another target in recipe.yaml: `target: COLUMN`"
    if summary.values == 0:
        raise Rejected("missing_target", f"the target {summary.name!r} has no values", hint=hint)
    if summary.distinct < 1.5:
        raise Rejected("one_class", f"the target {summary.name!r} has one class only: nothing to tell apart", hint=hint)
    if is_regression_target(summary):
        raise Rejected(
            "regression_unsupported",
            f"the target {summary.name!r}{'' if named else ', which was guessed,'} is a measure"
            f" (about {summary.distinct:.0f} different numbers), not a class",
            hint="this version classifies: put the numbers into classes, or " + hint,
        )
    keys = summary.distinct > 50 and summary.distinct_ratio > 0.5
    if keys or summary.distinct > 1.1 * MAX_CLASSES:
        raise Rejected(
            "too_many_classes",
            f"the target {summary.name!r} has about {summary.distinct:.0f} classes in {summary.values} rows",
            limit=MAX_CLASSES,
            hint=hint,
        )


def _guess_task(chosen: Sequence[ColumnSummary], kinds: dict[str, ColumnKind]) -> Task:
    texts = [s for s in chosen if kinds[s.name] == "text"]
    others = [s for s in chosen if kinds[s.name] in ("number", "category")]
    long = [s for s in texts if s.is_long_text]
    if long:
        name_like = all(s.mean_words < _NAME_LIKE_WORDS and s.mean_cjk < 2 * _NAME_LIKE_WORDS for s in long)
        return "tabular-classification" if name_like and len(others) > 3 else "text-classification"
    if others:
        return "tabular-classification"
    strings = [s for s in chosen if not s.is_number and s.values]
    return "text-classification" if strings else "tabular-classification"


def _inputs(
    task: Task, chosen: Sequence[ColumnSummary], kinds: dict[str, ColumnKind], *, explicit: bool
) -> list[Column]:
    """The columns that the task reads. A recipe that names inputs overrules what is taken for a key."""
    if task == "text-classification":
        texts = [s for s in chosen if kinds[s.name] == "text"]
        if not texts or explicit:
            texts = [s for s in chosen if not s.is_number and kinds[s.name] != "constant"]
        return [Column(name=s.name, kind="text") for s in texts]
    columns = []
    for summary in chosen:
        kind = kinds[summary.name]
        if explicit and kind in ("identifier", "text"):
            kind = _forced(summary)
        if kind in ("number", "category"):
            columns.append(Column(name=summary.name, kind=kind))
    return columns


def _forced(summary: ColumnSummary) -> ColumnKind:
    if summary.is_number:
        return "number"
    return "category" if summary.distinct <= MAX_CATEGORIES else "identifier"


def _no_inputs(task: Task, chosen: Sequence[ColumnSummary], kinds: dict[str, ColumnKind]) -> Rejected:
    seen = listed([f"{s.name} ({kinds[s.name]})" for s in chosen])
    need = "a text column" if task == "text-classification" else "a column of numbers or categories"
    return Rejected(
        "no_usable_input",
        f"{task} needs {need} beside the target; there is: {seen or 'nothing'}",
        hint="name columns in recipe.yaml (`inputs: [COLUMN, ...]`) or another `task`",
    )


def _warnings(
    task: Task,
    left_out: Sequence[ColumnSummary],
    by_name: dict[str, ColumnSummary],
    kinds: dict[str, ColumnKind],
    used: set[str],
) -> list[DataWarning]:
    def names(*wanted: ColumnKind) -> str:
        return listed([s.name for s in left_out if kinds[s.name] in wanted])

    other = ("number", "category") if task == "text-classification" else ("text",)
    reads = "text" if task == "text-classification" else "numbers and categories"
    messages = (
        ("columns_ignored", names(*other), f"a {task} model reads {reads}; left out"),
        (
            "identifiers_ignored",
            names("identifier"),
            "are keys, dates or the like, with (nearly) a value of its own per row; left out",
        ),
        ("constants_ignored", names("constant"), "have one value or (nearly) none; left out"),
        (
            "not_numbers",
            listed([name for name, s in by_name.items() if name in used and s.is_number and s.numbers < s.values]),
            "are columns of numbers with a few other values, which count as missing",
        ),
    )
    return [DataWarning(code=code, message=f"{text}: {columns}") for code, columns, text in messages if columns]
