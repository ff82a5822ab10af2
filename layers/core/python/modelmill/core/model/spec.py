"""The run's specification: what `preprocess` decides once and every later stage and job reads from S3.

It lies at `{run_prefix}/spec.json` because a SageMaker hyper-parameter holds at most 2,500 characters.
"""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from modelmill.core.model.recipe import Range, Recipe, Value
from modelmill.core.model.task import Task

ColumnKind = Literal["number", "category", "boolean", "date", "text", "identifier", "constant", "image", "audio"]


class Column(BaseModel):
    """A column of the dataset version as the model will see it."""

    model_config = ConfigDict(frozen=True)
    name: str
    kind: ColumnKind


class Candidate(BaseModel):
    """One model to try: `family` chooses the code, `hyperparameters` its settings."""

    model_config = ConfigDict(frozen=True)
    name: str
    family: str
    hyperparameters: dict[str, Value] = {}
    search: dict[str, Range] = {}
    """Hyperparameters that trials choose."""
    study: str | None = None
    """Candidates of one study are jobs that share its trials."""
    weights: str | None = None
    """The folder of pretrained weights, if the family reads such."""


class RunSpec(BaseModel):
    """Everything a job needs to know, and nothing that it can read from the data."""

    model_config = ConfigDict(frozen=True)
    run_id: str
    tenant: str
    dataset: str
    dataset_version: str
    data_prefix: str
    """Key prefix in the data bucket of the files of each split (`split.file_of`) and of profile.bin."""
    files: int = 1
    """How many files each split has."""
    model: str
    task: Task
    target: str
    inputs: list[Column]
    labels: list[str]
    """Names of the classes (or tags), sorted; an index of a model's outputs is the index here. Empty for a measure.

    The target column holds these strings (tags of a row joined by `TAG_SEPARATOR`), or float64 for a measure.
    """
    candidates: list[Candidate]
    recipe: Recipe
    mixable: bool = True
    """Rows of training and validation may change sides: neither groups, times nor somebody else decided on them."""
    html: list[str] = []
    """Columns of text that were stored without their HTML."""

    def reading(self, inputs: Iterable[str]) -> dict[str, Any]:
        """What preprocess.json says of how these inputs of words were stored: `clean`, `html` and `mask`."""
        names = list(inputs)
        clean = {"unicode": self.recipe.clean.unicode, "control": self.recipe.clean.control}
        html = [name for name in names if name in self.html]
        return {"clean": clean, **({"html": html} if html else {}), **self.recipe.mask.as_preprocess(names)}
