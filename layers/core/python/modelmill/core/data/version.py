"""A dataset version: immutable, content-addressed rows that were read, cleaned and split, with their accounts."""

from pydantic import BaseModel, ConfigDict

from modelmill.core.data.mask import VERSION
from modelmill.core.digest import digest_of
from modelmill.core.model.recipe import Recipe, Task
from modelmill.core.model.spec import Column


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
    source: dict[str, str]
    """bucket, key and version id of the uploaded object."""
    rows: Rows
    splits: dict[str, int]
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


def version_id(content_sha256: str, recipe: Recipe, code: str, decided: object) -> str:
    """The version of some content under a recipe: only the fields that change the rows count. 16 hex digits.

    `decided` are the JSON values of what was inferred and how the rows fell: other rules make another version, so that
    a run never reads rows that were stored under other rules.
    """
    data = recipe.model_dump(mode="json", include={"task", "target", "inputs", "split", "seed", "mask", "clean"})
    rules = {"code": code, "mask": VERSION, "decided": decided}
    return digest_of({"content": content_sha256, "recipe": data, **rules})[:16]
