"""The recipe: YAML or JSON in, one validated object out, which describes everything about a pipeline run.

Every field has a default, so that no recipe at all is a recipe: what is None is inferred from the data.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from modelmill.core.data.mask import KINDS, VERSION
from modelmill.core.data.mask_rules import Kind
from modelmill.core.errors import Rejected
from modelmill.core.model.prices import dollars_an_hour, priced
from modelmill.core.model.task import Task

Engine = Literal["sagemaker", "batch"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Split(_Section):
    """Shares of the rows, which must sum to 1, and what decides on which side a row falls.

    `by` is stratified for classes and random for measures unless said otherwise. Rows with the same value of `group`
    fall together; by `time` the latest rows are the test. A given split is kept: the files or folders of the upload
    (train, validation, test), or the values of `column`. With `folds` the rows that are not for the test carry a
    fold each, in the column `__fold__`: a number of folds, or leave-one-out. The first is the validation, unless rows
    are given for it.
    """

    train: float = Field(0.7, gt=0, lt=1)
    validation: float = Field(0.15, gt=0, lt=1)
    test: float = Field(0.15, gt=0, lt=1)
    by: Literal["stratified", "random", "group", "time", "given"] | None = None
    group: str | None = None
    time: str | None = None
    column: str | None = None
    folds: Annotated[int, Field(ge=2, le=100)] | Literal["leave-one-out"] | None = None

    @model_validator(mode="after")
    def _sums_to_one(self) -> "Split":
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError("train + validation + test must be 1")
        return self

    @model_validator(mode="after")
    def _says_by_what(self) -> "Split":
        for by, name in (("group", self.group), ("time", self.time)):
            if self.by == by and name is None:
                raise ValueError(f"by: {by} needs the name of a column in `{by}`")
            if name is not None and self.by not in (None, by):
                raise ValueError(f"`{by}` names a column, but the split is by {self.by}")
        if self.group is not None and self.time is not None:
            raise ValueError("either `group` or `time` can be named, not both")
        if self.column is not None and self.by != "given":
            raise ValueError("`column` holds a given split: say `by: given` too")
        if self.folds is not None and self.time is not None:
            raise ValueError("`folds` mix rows of all times, which a split by time keeps apart: leave one of them out")
        return self


class Clean(_Section):
    """What is mended before anything is learnt; every action is counted in the report.

    `html` auto removes tags and entities from columns of text in which they are common. Duplicates are dropped unless
    so many rows of a table repeat that they are no accident (auto); near duplicates (equal but for case, spaces,
    punctuation) always fall on one side of the split, and are dropped if the recipe says so. Outliers and cells that
    a spreadsheet would run as formulas are flagged, never changed.
    """

    unicode: Literal["nfc", "nfkc", "keep"] = "nfc"
    control: Literal["strip", "keep"] = "strip"
    html: Literal["auto", "strip", "keep"] = "auto"
    labels: Literal["unify", "keep"] = "unify"
    duplicates: Literal["auto", "drop", "keep"] = "auto"
    near_duplicates: Literal["keep", "drop"] = "keep"


class Prepare(_Section):
    """Where the data phase runs: in one function, mapped over shards, or on Spark. `auto` chooses by size."""

    engine: Literal["auto", "lambda", "map", "spark"] = "auto"


class Compute(_Section):
    """Where jobs run. The local cloud runs either engine as a process.

    `auto` takes a CPU unless a candidate trains a net on text, images or sounds. On Batch the type only says which of
    both. Several `instances`, and all devices of one, train a net together; on Batch they are never spot instances.
    """

    engine: Engine = "sagemaker"
    instance_type: str = Field("auto", pattern=r"^(auto|ml\.[a-z0-9]+\.[a-z0-9]+)$")
    instances: int = Field(1, ge=1, le=64)
    spot: bool = True
    max_seconds: int = Field(3_600, ge=60, le=5 * 24 * 3_600)


Value = float | int | str | bool
Preset = Literal["fast", "balanced", "quality"]


class Range(_Section):
    """Values of a hyperparameter to search: from `low` to `high` (whole numbers if both are), or one of `choices`."""

    low: float | int | None = None
    high: float | int | None = None
    log: bool = False
    choices: Annotated[list[Value], Field(min_length=1, max_length=50)] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Range":
        bounds = (self.low, self.high)
        if (self.choices is None) == (None in bounds) and (self.choices is None or bounds != (None, None)):
            raise ValueError("say either `low` and `high`, or `choices`")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError("low must be below high")
        if self.log and not (self.low or 0) > 0:
            raise ValueError("a logarithmic range begins above 0")
        return self


class Choice(_Section):
    """A candidate of the recipe's own: `family` chooses the code, the rest overrules its defaults.

    `weights` names a folder of pretrained weights (`{tenant}/weights/{name}/` in the models bucket).
    """

    family: str
    name: str | None = Field(None, pattern=r"^[a-z][a-z0-9-]{0,40}$")
    hyperparameters: dict[str, Value] = {}
    search: dict[str, Range] = {}
    weights: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$")


class Training(_Section):
    """The loop of candidates that are nets; what is None is the family's own choice.

    `batch` counts rows of one step on one device, `accumulate` steps whose gradients are summed before a move;
    `clip` is the largest global norm of the gradient; `class_weights: balanced` weighs classes by 1 / frequency.
    """

    optimiser: Literal["sgd", "momentum", "adam", "adamw", "gradient-descent"] | None = None
    schedule: Literal["constant", "step", "cosine", "one-cycle", "linear", "plateau"] | None = None
    learning_rate: float | None = Field(None, gt=0, le=100)
    weight_decay: float | None = Field(None, ge=0, le=10)
    epochs: int | None = Field(None, ge=1, le=10_000)
    batch: int | None = Field(None, ge=1, le=65_536)
    accumulate: int = Field(1, ge=1, le=1_024)
    clip: float | None = Field(None, gt=0)
    patience: int | None = Field(None, ge=1)
    precision: Literal["auto", "float32", "bf16"] = "auto"
    class_weights: Literal["none", "balanced"] = "none"
    compile: bool = False


class Selection(_Section):
    """How candidates are compared: on the validation rows, or on `folds` of training and validation rows.

    `auto` takes folds below 10,000 rows where rows may be mixed (no split by group, time or given files). Folds in the
    data (`split.folds`) are used as they are. `nested` chooses settings by folds inside each of the folds, which then
    measures the choice.
    """

    method: Literal["auto", "hold-out", "folds", "leave-one-out", "nested"] = "auto"
    folds: int = Field(5, ge=2, le=20)
    ensemble: bool = True


class Search(_Section):
    """Trials of each candidate that has something to search, by TPE with successive halving, by `parallel` jobs."""

    trials: int = Field(0, ge=0, le=1_000)
    parallel: int = Field(1, ge=1, le=20)


class Budget(_Section):
    """Most seconds that all training jobs of the run may take together, and most money (US dollars), if said."""

    seconds: int | None = Field(None, ge=10)
    dollars: float | None = Field(None, gt=0)


class Evaluation(_Section):
    """Columns whose groups of rows get scores of their own, beside the classes."""

    slices: Annotated[list[str], Field(max_length=20)] = []


class Optimise(_Section):
    """Smaller forms of the model, each kept only if it passes the gate; of those that pass, the smallest is served.

    `max_loss` is the score (accuracy, or share of explained variance) that may be lost, `max_ms` the most milliseconds
    that one row may take, `max_mb` the most megabytes.
    """

    int8: bool = True
    static_int8: bool = True
    float16: bool = True
    prune: bool = True
    distil: bool = False
    max_loss: float = Field(0.002, ge=0, le=1)
    max_ms: float | None = Field(None, gt=0)
    max_mb: float | None = Field(None, gt=0)


class Mask(_Section):
    """What happens to personal data before rows are stored.

    A column is kept as it is, masked where it holds personal data, dropped, or hashed: stored as one pseudonym per
    value, which no model reads. Columns that are not named are masked, or kept with `default: false`.
    """

    default: bool = True
    columns: dict[str, Literal["keep", "mask", "drop", "hash"]] = {}
    kinds: tuple[Kind, ...] = KINDS

    @field_validator("kinds")
    @classmethod
    def _in_order(cls, kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
        return tuple(kind for kind in KINDS if kind in kinds)

    def mode_of(self, column: str) -> str:
        """What happens to a column: keep, mask, drop or hash."""
        return self.columns.get(column, "mask" if self.default else "keep")

    def as_preprocess(self, inputs: Iterable[str]) -> dict[str, Any]:
        """The `mask` of a package's preprocess.json: which of the model's inputs of words are masked, and how."""
        masked = [name for name in inputs if self.mode_of(name) == "mask"]
        return {"mask": {"version": VERSION, "kinds": list(self.kinds), "columns": masked}} if masked else {}


class Rollout(_Section):
    """`route: false` registers the model without sending traffic to it."""

    route: bool = True


class Recipe(_Section):
    """One pipeline run. `model` names the registered model (default: the dataset's name)."""

    task: Task | None = None
    target: str | None = None
    inputs: Annotated[list[str], Field(min_length=1)] | None = None
    model: str | None = None
    preset: Preset = "balanced"
    candidates: Annotated[list[str | Choice], Field(min_length=1, max_length=20)] | None = None
    seed: int = Field(7, ge=0, lt=2**31)
    split: Split = Split()
    clean: Clean = Clean()
    prepare: Prepare = Prepare()
    compute: Compute = Compute()
    training: Training = Training()
    selection: Selection = Selection()
    search: Search = Search()
    budget: Budget = Budget()
    evaluation: Evaluation = Evaluation()
    optimise: Optimise = Optimise()
    rollout: Rollout = Rollout()
    mask: Mask = Mask()

    @model_validator(mode="after")
    def _reads_what_is_there(self) -> "Recipe":
        if self.target and self.mask.columns.get(self.target, "keep") != "keep":
            raise ValueError(f"mask.columns: the target {self.target!r} can only be kept: its values are the answers")
        gone = [name for name in self.inputs or () if self.mask.columns.get(name) in ("drop", "hash")]
        if gone:
            raise ValueError(f"mask.columns: the input {gone[0]!r} is dropped or hashed, so no model can read it")
        return self

    @model_validator(mode="after")
    def _has_a_price(self) -> "Recipe":
        compute = self.compute
        price = dollars_an_hour(compute.engine, compute.instance_type, spot=compute.spot)
        if self.budget.dollars is not None and price is None and compute.instance_type != "auto":
            known = ", ".join(priced())
            text = f"budget.dollars: no price is known of {compute.instance_type}; say budget.seconds, or take one of "
            raise ValueError(text + known)
        return self


def parse_recipe(document: Any) -> Recipe:
    """A Recipe from a parsed YAML or JSON document (None: all defaults); raises Rejected (`bad_recipe`)."""
    if document is None:
        return Recipe()
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        where, why = _deepest(error, document)
        hint = f"a recipe knows: {', '.join(Recipe.model_fields)}"
        raise Rejected("bad_recipe", f"{where or 'recipe'}: {why}", hint=hint) from None


def _deepest(error: ValidationError, document: Any) -> tuple[str, str]:
    """Where the fault is, and what is wrong there.

    Where a value may have several forms, pydantic tells why it is none of them, its first words being of the first
    form: the form whose fault lies deepest is the one that was meant. Names of forms are no places in the document.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for fault in error.errors(include_url=False):
        inside, place = document, []
        for part in fault["loc"]:
            if isinstance(part, int) or (isinstance(inside, dict) and part in inside):
                place.append(str(part))
                inside = inside[part]
        if fault["type"] == "missing":
            place.append(str(fault["loc"][-1]))
        found.setdefault(tuple(place), []).append(fault["msg"].removeprefix("Value error, "))
    deepest = max(found, key=len)
    return ".".join(deepest), ", or ".join(dict.fromkeys(found[deepest]))
