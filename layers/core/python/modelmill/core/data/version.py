"""A dataset version: immutable, content-addressed rows that were read, cleaned and split, with their accounts."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from modelmill.core.data.mask import VERSION
from modelmill.core.data.sources import Source
from modelmill.core.digest import digest_of
from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Column
from modelmill.core.model.task import Task

_DATA_FIELDS = ("task", "target", "inputs", "split", "seed", "mask", "clean")


class Rows(BaseModel):
    """`read` = `used` + `quarantined`, always."""

    model_config = ConfigDict(frozen=True)
    read: int
    used: int
    quarantined: int


class DataWarning(BaseModel):
    """Something a person should know that did not stop the run."""

    model_config = ConfigDict(frozen=True)
    code: str
    message: str


class DatasetVersion(BaseModel):
    """What `preprocess` stored, as `version.json` beside the rows and as a record in the registry."""

    model_config = ConfigDict(frozen=True)
    dataset: str
    version: str
    prefix: str
    sources: list[Source]
    """The object that started the run, then, if it is the list of an upload's files, each of them."""
    rows: Rows
    splits: dict[str, int]
    files: int = 1
    """How many files each split has (`split.file_of`)."""
    columns: list[Column]
    """Every column of the file, used or not."""
    inputs: list[Column]
    task: Task
    target: str
    labels: list[str]
    quarantine: dict[str, int]
    """Reason → number of rows."""
    warnings: list[DataWarning]
    masked: dict[str, dict[str, int]] = {}
    """Column → kind of personal data → how many were replaced by pseudonyms."""
    recipe: dict[str, Any] = {}
    """The part of the recipe that changes the rows, with its defaults."""

    @model_validator(mode="before")
    @classmethod
    def _reads_older_records(cls, data: Any) -> Any:
        return with_sources(data) if isinstance(data, dict) else data


def with_sources(document: dict[str, Any]) -> dict[str, Any]:
    """A version's document as it is written now: older ones have one object, in `source`."""
    if "source" not in document:
        return document
    rest = {name: value for name, value in document.items() if name != "source"}
    return {"sources": [document["source"]], **rest}


def data_recipe(recipe: Recipe) -> dict[str, Any]:
    """The fields of a recipe that change the rows, as JSON values."""
    return recipe.model_dump(mode="json", include=set(_DATA_FIELDS))


def version_id(content_sha256: str, recipe: Recipe, code: str, decided: object) -> str:
    """The version of some content under a recipe: only the fields that change the rows count. 16 hex digits.

    `decided` are the JSON values of what was inferred and how the rows fell: other rules make another version, so that
    a run never reads rows that were stored under other rules.
    """
    rules = {"code": code, "mask": VERSION, "decided": decided}
    return digest_of({"content": content_sha256, "recipe": data_recipe(recipe), **rules})[:16]
