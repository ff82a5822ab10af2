"""Preprocess: an upload in S3 becomes a dataset version, a specification and a record, or a stated reason."""

import io
import json
from typing import Any

import pyarrow.parquet
import pytest

from modelmill.aws import objects
from modelmill.aws.records import datasets, pipelines
from modelmill.core.data.version import DatasetVersion
from modelmill.core.model.spec import RunSpec
from modelmill.frames.profile import Profile
from tests.functions.data.conftest import DATA, MODELS, UPLOADS, event, handler_of
from tests.unit.data.files import flowers_csv, reviews_csv

preprocess = handler_of("preprocess")
pytestmark = pytest.mark.usefixtures("aws")
KEY = "default/reviews/first/reviews.csv"
RECIPE = "default/reviews/first/recipe.yaml"


def uploaded(content: str, beside: str | None = None, **more: Any) -> dict[str, Any]:
    """Put a file (and a recipe) into the uploads bucket and run the stage over it."""
    objects.put(UPLOADS, KEY, content.encode())
    if beside is not None:
        objects.put(UPLOADS, RECIPE, beside.encode())
    return preprocess(event("preprocess") | more, None)


def stage() -> dict[str, Any]:
    (found,) = pipelines.stages("default", event("preprocess")["run_id"])
    return found


def test_a_file_becomes_a_version() -> None:
    answer = uploaded(reviews_csv() + "a review of some words without label,\n")
    assert answer["status"] == "ok"
    assert answer["rows"] == {"read": 61, "used": 60, "quarantined": 1}
    prefix = f"default/datasets/reviews/{answer['dataset_version']}/"
    names = {key.removeprefix(prefix) for key in objects.keys(DATA, prefix)}
    assert names == {
        "train.parquet", "validation.parquet", "test.parquet",
        "quarantine.jsonl", "profile.bin", "profile.json", "report.html", "version.json",
    }  # fmt: skip
    train = pyarrow.parquet.read_table(io.BytesIO(objects.get(DATA, prefix + "train.parquet")))
    assert train.column_names == ["review", "recommended"]
    assert Profile.from_bytes(objects.get(DATA, prefix + "profile.bin")).rows == train.num_rows == 44
    quarantined = json.loads(objects.get(DATA, prefix + "quarantine.jsonl"))
    assert (quarantined["row"], quarantined["reason"]) == (61, "missing_target")
    spec = RunSpec.model_validate_json(objects.get(MODELS, f"default/runs/{event('preprocess')['run_id']}/spec.json"))
    version = DatasetVersion.model_validate_json(objects.get(DATA, prefix + "version.json"))
    assert spec.inputs == version.inputs
    assert spec.data_prefix == version.prefix == prefix
    assert datasets.get_version("default", "reviews", answer["dataset_version"]) is not None
    assert stage()["message"] == "61 rows read, 60 used, 1 quarantined"
    assert stage()["status"] == "SUCCEEDED"


def test_the_same_content_is_the_same_version_and_is_not_stored_again() -> None:
    first = uploaded(reviews_csv())
    key = f"default/datasets/reviews/{first['dataset_version']}/train.parquet"
    before = objects.head(DATA, key)["LastModified"], objects.head(DATA, key)["ETag"]
    second = uploaded(reviews_csv().replace("\n", "\r\n"), run_id="20261124T111530-f00dfeed01")
    assert second["dataset_version"] == first["dataset_version"]
    assert (objects.head(DATA, key)["LastModified"], objects.head(DATA, key)["ETag"]) == before
    assert len(datasets.versions("default", "reviews")) == 1
    assert objects.find(MODELS, "default/runs/20261124T111530-f00dfeed01/spec.json") is not None


def test_the_recipe_beside_the_file_is_used() -> None:
    answer = uploaded(flowers_csv(), "target: species\ninputs: [width, length]\nmodel: flowers\ncandidates: [tabm]\n")
    assert (answer["task"], answer["model"], answer["candidates"]) == ("tabular-classification", "flowers", ["tabm"])
    spec = json.loads(objects.get(MODELS, f"default/runs/{event('preprocess')['run_id']}/spec.json"))
    assert [column["name"] for column in spec["inputs"]] == ["length", "width"]


def test_the_recipe_of_the_run_takes_its_place() -> None:
    answer = uploaded(flowers_csv(), "target: nothing\n", recipe={"target": "species"})
    assert (answer["status"], answer["target"]) == ("ok", "species")


@pytest.mark.parametrize(
    ("content", "recipe", "code"),
    [
        ("", None, "empty_file"),
        (reviews_csv(10), None, "too_few_rows"),
        (reviews_csv(), "target: nothing", "missing_target"),
        (reviews_csv(), "target: [", "bad_recipe"),
        (reviews_csv(), "candidates: [mlp]", "bad_recipe"),
        (reviews_csv(), "model: ../other", "bad_name"),
        (reviews_csv(), "#" * 70_000, "bad_recipe"),
    ],
)
def test_what_cannot_be_used_is_a_value(content: str, recipe: str | None, code: str) -> None:
    answer = uploaded(content, recipe)
    assert answer["status"] == "rejected"
    assert answer["reason"]["code"] == code
    assert stage()["status"] == "FAILED"
    assert stage()["message"] == answer["reason"]["message"]
    assert list(objects.keys(DATA, "")) == []
    if code in ("too_few_rows", "missing_target"):
        assert answer["rows"]["read"] == answer["rows"]["quarantined"] > 0


def test_a_file_that_was_removed_is_said() -> None:
    assert preprocess(event("preprocess"), None)["reason"]["code"] == "upload_missing"


def test_logs_hold_nothing_of_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    uploaded(reviews_csv().replace("dress", "canary"))
    uploaded("canary\n" * 50)
    captured = capsys.readouterr()
    assert "canary" not in captured.out + captured.err
