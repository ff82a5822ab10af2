"""Deciding: the scan of a whole upload and the recipe in; what every row is treated by, alike in each shard, out."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from modelmill.core.data.columns import ColumnSummary, Facts, can_be_classes, listed, none_is_class
from modelmill.core.data.labels import TargetForm, decide_target_form, unified_warning
from modelmill.core.data.plan import Plan, make_plan
from modelmill.core.data.target import guess_target
from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.core.limits import MIB
from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Column
from modelmill.core.model.task import TAG_SEPARATOR, Answers, Task, answers_of, reads_of
from modelmill.frames.mask import MaskPlan, check_inputs, check_names, plan_masks, target_warning
from modelmill.frames.profile import Profile
from modelmill.frames.scan import Scan
from modelmill.frames.understand import understand

SMALLEST_BUCKET, LARGEST_BUCKET, BUCKETS = 32 * MIB, 192 * MIB, 64
_ALMOST = 0.98
By = Literal["stratified", "random", "group", "time", "given"]


class Decisions(BaseModel):
    """What is done to each row. `inputs` are the columns of the rows that are stored, with `target` and `kept`."""

    model_config = ConfigDict(frozen=True)
    task: Task
    target: str
    inputs: list[Column]
    columns: list[Column]
    """Every column of the upload."""
    kept: list[str]
    """Hashed columns, which are stored though no model reads them."""
    none_is_null: list[str]
    html: list[str]
    masks: MaskPlan
    form: TargetForm
    by: By
    group: str | None
    time: str | None
    given: str | None
    """The column of a given split, where the files' names do not give it."""
    seed: int
    buckets: int
    facts: dict[str, Facts]
    warnings: list[DataWarning]

    @property
    def answers(self) -> Answers:
        """What kind of target it is."""
        return answers_of(self.task)

    @property
    def has_classes(self) -> bool:
        """True if each row is of one class of several, by which rows can be split."""
        return self.answers == "classification"

    @property
    def is_tabular(self) -> bool:
        """True if a row is a copy of another only when all columns agree, read by a model or not."""
        return reads_of(self.task) == "tabular"

    @property
    def plan(self) -> Plan:
        """Task, target and columns."""
        return Plan(self.task, self.target, tuple(self.inputs), tuple(self.columns), tuple(self.warnings))


def decide(scanned: Scan, recipe: Recipe, *, given: bool, smallest_bucket: int = SMALLEST_BUCKET) -> Decisions:
    """Decide for an upload; `given` says that its files' names give the split. Raises Rejected, see `make_plan`."""
    profile, sample = scanned.profile, scanned.sample.table
    if scanned.read and not profile.rows:
        hint = "upload rows of as many cells as the header has, objects with the same keys, or files that can be opened"
        raise Rejected("too_few_rows", f"none of the {scanned.read} rows can be read", hint=hint)
    check_names(list(profile.columns), recipe.mask)
    masks = plan_masks(profile, sample, recipe.mask)
    facts = understand(sample)
    summaries = [summary for summary in profile.summaries() if summary.name not in masks.dropped]
    plan = _plan(summaries, facts, masks, recipe)
    masks = masks.sparing(plan.target)
    target = profile.columns[plan.target]
    frequent = target.frequent_values()
    summary = next(each for each in summaries if each.name == plan.target)
    form = _form(plan, summary, frequent, facts, recipe)
    by = _by(recipe, classes=answers_of(plan.task) == "classification", given=given)
    _check_time(recipe.split.time, facts, profile)
    names = [name for name in profile.columns if name != plan.target]
    return Decisions(
        task=plan.task,
        target=plan.target,
        inputs=list(plan.inputs),
        columns=list(plan.columns),
        kept=[name for name in masks.hashed if name != plan.target],
        none_is_null=_none_is_null(profile, plan),
        html=_html(plan, facts, recipe),
        masks=masks,
        form=form,
        by=by,
        group=_known(recipe.split.group, names, "group"),
        time=_known(recipe.split.time, names, "time"),
        given=_known(recipe.split.column, names, "column"),
        seed=recipe.seed,
        buckets=_buckets(scanned.size, recipe, smallest_bucket),
        facts=facts,
        warnings=[
            *scanned.warnings,
            *target_warning(target, recipe.mask.kinds),
            *plan.warnings,
            *unified_warning(form.spellings),
        ],
    )


def _form(
    plan: Plan, summary: ColumnSummary, frequent: Mapping[str, int], facts: Mapping[str, Facts], recipe: Recipe
) -> TargetForm:
    answers = answers_of(plan.task)
    if answers == "classification":
        return decide_target_form(summary, frequent, unify_labels=recipe.clean.labels == "unify")
    return TargetForm(tags=facts[plan.target].tags or TAG_SEPARATOR) if answers == "multilabel" else TargetForm()


def _buckets(size: int, recipe: Recipe, smallest: int) -> int:
    """How many buckets the rows are put into; rows that are left out one by one are counted in one, and few."""
    if recipe.split.folds == "leave-one-out":
        return 1
    return max(1, size // max(smallest, min(LARGEST_BUCKET, size // BUCKETS)))


def _plan(summaries: Sequence[ColumnSummary], facts: dict[str, Facts], masks: MaskPlan, recipe: Recipe) -> Plan:
    """The plan of the columns that a model may read; the others are keys to it."""
    apart = {recipe.split.group, recipe.split.column} - {None}
    unlikely = {*masks.hashed, *apart, recipe.split.time}
    target = recipe.target or _likely_target([s for s in summaries if s.name not in unlikely])
    check_inputs(masks, recipe.inputs, target, len(summaries))
    hidden = (masks.hidden | apart) - {target, *(recipe.inputs or ())}
    plan = make_plan([summary for summary in summaries if summary.name not in hidden], recipe, facts)
    if recipe.mask.columns.get(plan.target, "keep") != "keep":
        raise Rejected("bad_recipe", f"mask.columns: {plan.target!r} is the target, which can only be kept")
    kinds = {column.name: column for column in plan.columns}
    columns = tuple(kinds.get(summary.name) or Column(name=summary.name, kind="identifier") for summary in summaries)
    return Plan(plan.task, plan.target, plan.inputs, columns, plan.warnings)


def _likely_target(summaries: list[ColumnSummary]) -> str | None:
    """The column that would be the target if nothing were masked, should it have classes."""
    try:
        name = guess_target(summaries).name
    except Rejected:
        return None  # said by the plan
    return name if any(can_be_classes(summary) for summary in summaries if summary.name == name) else None


def _none_is_null(profile: Profile, plan: Plan) -> list[str]:
    """The columns of words where `None` is a missing value; among numbers it is missing in any case."""
    return [
        column.name
        for column in plan.columns
        if (column.kind != "number" or column.name == plan.target)
        and not none_is_class(
            profile.columns[column.name].summary(column.name), profile.columns[column.name].frequent_values()
        )
    ]


def _by(recipe: Recipe, *, classes: bool, given: bool) -> By:
    split = recipe.split
    if split.by is not None:
        if split.by == "given" and split.column is None and not given:
            raise Rejected(
                "bad_recipe",
                "split: by: given, but neither names of files (train.csv, test.csv) nor `column` give a split",
                hint="name the column that holds train, validation and test: `split: {by: given, column: COLUMN}`",
            )
        if split.by == "stratified" and not classes:
            raise Rejected(
                "bad_recipe",
                "split: by: stratified needs classes, and the target has none",
                hint="leave it out: measures and tags are split at random",
            )
        return split.by
    if split.group is not None:
        return "group"
    if split.time is not None:
        return "time"
    return "given" if given else "stratified" if classes else "random"


def _known(name: str | None, names: Sequence[str], field: str) -> str | None:
    """The name of a column that says where rows fall: any, also one that is not stored, but the target."""
    if name is not None and name not in names:
        text = f"split.{field}: there is no column {name!r} beside the target"
        raise Rejected("bad_recipe", text, hint=f"columns: {listed(sorted(names))}")
    return name


def _check_time(name: str | None, facts: dict[str, Facts], profile: Profile) -> None:
    column = profile.columns.get(name) if name is not None else None
    if name is not None and column is not None and facts[name].date is None and not column.is_numbers(_ALMOST):
        raise Rejected(
            "bad_recipe",
            f"split.time: column {name!r} holds neither dates nor numbers",
            hint="write dates as 2026-11-24 or 2026-11-24T10:15:30, the same way in all rows",
        )


def _html(plan: Plan, facts: dict[str, Facts], recipe: Recipe) -> list[str]:
    """The columns of text from which HTML is stripped."""
    if recipe.clean.html == "keep":
        return []
    texts = [column.name for column in plan.inputs if column.kind == "text"]
    return [name for name in texts if recipe.clean.html == "strip" or (name in facts and facts[name].html)]
