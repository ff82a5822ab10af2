"""modelmill.aws.removal: what is removed, what stays, and what is written down."""

from collections.abc import Callable

import boto3
import pytest

from modelmill.aws import objects, removal
from modelmill.aws.records import audit, datasets, models
from modelmill.core.serve.route import Route
from tests.contract.test_records import dataset_version
from tests.contract.world import DATA, MODELS, UPLOADS


def keys_of(bucket: str) -> set[str]:
    """Every key that has a version left."""
    return {entry["Key"] for entry in boto3.client("s3").list_object_versions(Bucket=bucket).get("Versions", [])}


def test_a_dataset_goes_with_all_its_objects_and_no_others() -> None:
    mine = {UPLOADS: {"default/reviews/u/f.csv"}, DATA: {"default/datasets/reviews/v/train.parquet"}}
    mine[DATA].add("default/quarantine/reviews/u/f.csv")
    others = {UPLOADS: {"default/reviews-2/u/f.csv", "other/reviews/u/f.csv"}, DATA: {"default/datasets/x/v/t"}}
    for bucket in (UPLOADS, DATA):
        for key in mine[bucket] | others[bucket]:
            objects.put(bucket, key, b"x")
    datasets.add_version("default", dataset_version())
    removal.remove_dataset("default", "reviews", "laptop", [])
    assert {bucket: keys_of(bucket) for bucket in (UPLOADS, DATA)} == others
    assert datasets.get("default", "reviews") is None
    assert datasets.versions("default", "reviews") == []
    assert audit.latest("default")[0]["action"] == "delete-dataset"


def furnish_models() -> None:
    for model, digest in (("a", "shared"), ("a", "own"), ("b", "shared")):
        models.register("default", model, digest, {"run_id": f"run-{model}-{digest}"})
        objects.put(MODELS, f"default/packages/{digest}/model.onnx", b"x")
        objects.put(MODELS, f"default/runs/run-{model}-{digest}/spec.json", b"x")
    models.set_route("default", "a", Route({"1": 1.0}), revision=0, who="laptop")


LEFT = {"default/packages/shared/model.onnx", "default/runs/run-b-shared/spec.json"}


def test_a_model_goes_but_a_package_that_another_model_holds_stays() -> None:
    furnish_models()
    removal.remove_model("default", "a", "laptop")
    assert keys_of(MODELS) == LEFT
    assert models.get("default", "a") is None
    assert models.get_version("default", "b", "1") is not None
    assert [each["name"] for each in audit.latest("default")] == ["a"]


def test_one_version_goes_and_the_others_stay() -> None:
    furnish_models()
    version = models.get_version("default", "a", "2")
    assert version is not None
    removal.remove_model_version("default", "a", version, "laptop")
    assert [each["version"] for each in models.versions("default", "a")] == ["1"]
    assert keys_of(MODELS) == LEFT | {"default/runs/run-a-shared/spec.json"}
    assert models.register("default", "a", "own", {}) == ("3", True)


def test_the_newest_of_the_other_dataset_versions_becomes_the_latest() -> None:
    for version in ("b" * 16, "a" * 16, "c" * 16):
        datasets.add_version("default", dataset_version(version))
        objects.put(DATA, f"default/datasets/reviews/{version}/train.parquet", b"x")
    removal.remove_dataset_version("default", "reviews", "c" * 16, "laptop", [])
    found = datasets.get("default", "reviews")
    assert found is not None
    assert found["latest"] in ("a" * 16, "b" * 16)
    assert {key.split("/")[3] for key in keys_of(DATA)} == {"a" * 16, "b" * 16}
    for version in ("a" * 16, "b" * 16):
        removal.remove_dataset_version("default", "reviews", version, "laptop", [])
    assert datasets.get("default", "reviews") is None


def test_a_removal_that_was_cut_short_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    furnish_models()
    whole: Callable[[str, str], None] = objects.delete_all
    with monkeypatch.context() as patch:
        calls = iter((True, False))

        def cut(bucket: str, prefix: str) -> None:
            if not next(calls):
                raise TimeoutError
            whole(bucket, prefix)

        patch.setattr(objects, "delete_all", cut)
        with pytest.raises(TimeoutError):
            removal.remove_model("default", "a", "laptop")
    model = models.get("default", "a")
    assert model is not None
    assert model["route"] is None
    removal.remove_model("default", "a", "laptop")
    assert keys_of(MODELS) == LEFT
    assert models.get("default", "a") is None
