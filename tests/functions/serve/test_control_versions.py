"""Versions of datasets: where they came from, what came of them, how they differ, and how they are removed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from modelmill.aws import objects
from modelmill.aws.records import audit, datasets, models, pipelines, table
from modelmill.core.data.sources import Source
from modelmill.core.serve.route import Route
from tests.contract.gateway import Control
from tests.contract.test_records import dataset_version
from tests.contract.world import DATA, MODELS, UPLOADS, load_function, moto_world

HANDLER = load_function("serve/control")
V, W = "0123456789abcdef", "b" * 16
PATH = f"/v1/datasets/reviews/versions/{V}"


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    with moto_world(monkeypatch):
        yield Control(HANDLER)


def train(run_id: str, version: str, model: str | None, dataset: str = "reviews") -> None:
    """A run over a version that is over, with its artefacts, and the model that it trained, if it did."""
    pipelines.start("default", run_id, {"dataset": dataset, "upload": {}})
    trained = None
    if model is not None:
        record = {"status": "READY", "run_id": run_id, "dataset": dataset, "dataset_version": version}
        number, _ = models.register("default", model, f"digest-{run_id}", record)
        trained = {"name": model, "version": number, "metrics": {}}
        objects.put(MODELS, f"default/packages/digest-{run_id}/model.onnx", b"x")
    objects.put(MODELS, f"default/runs/{run_id}/candidates/a/weights.safetensors", b"x")
    objects.put(DATA, f"default/scratch/{dataset}/{run_id}/part", b"x")
    outcome = {"dataset_version": version, "model": trained}
    pipelines.finish("default", run_id, "SUCCEEDED" if model else "FAILED", outcome)


def furnish() -> None:
    for version in (V, W):
        datasets.add_version("default", dataset_version(version))
        objects.put(DATA, f"default/datasets/reviews/{version}/train.parquet", b"x")
    train("r1", V, "m")
    train("r2", V, None)
    train("r3", W, "m")
    train("r4", V, "other", dataset="else")


def left() -> set[str]:
    return set(objects.keys(MODELS, "")) | set(objects.keys(DATA, ""))


def test_a_version_names_its_runs_and_models_and_its_sources(control: Control) -> None:
    furnish()
    found = control("GET", PATH)[1]
    assert [(run["id"], run["status"]) for run in found["runs"]] == [("r2", "FAILED"), ("r1", "SUCCEEDED")]
    assert found["models"] == [{"model": "m", "version": "1"}]
    assert (found["source_count"], found["sources"][0]["size"]) == (1, 3)


def test_records_from_before_there_were_several_sources_are_read(control: Control) -> None:
    objects.put(UPLOADS, "default/reviews/first/reviews.csv", b"abc")
    old = dataset_version().model_dump(mode="json", exclude={"sources", "recipe"})
    old["source"] = {"bucket": UPLOADS, "key": "default/reviews/first/reviews.csv", "version_id": ""}
    table.put("default#dataset#reviews", V, old | {"created": "2026"})
    table.put("default#datasets", "reviews", {"name": "reviews", "latest": V, "updated": "2026"})
    assert control("GET", PATH)[1]["sources"] == [old["source"]]
    assert control("GET", f"{PATH}/diff/{V}")[1]["recipe"] == {}
    assert control("POST", "/v1/pipelines", {"dataset": "reviews"})[1]["upload"]["size"] == 3


def test_a_record_holds_as_many_sources_as_there_is_room_for(control: Control) -> None:
    files = [Source(bucket=UPLOADS, key=f"default/reviews/u/files/{n:05}" + "x" * 200) for n in range(10_000)]
    datasets.add_version("default", dataset_version().model_copy(update={"sources": files}))
    found = control("GET", PATH)[1]
    assert (len(found["sources"]), found["source_count"]) == (20, 10_000)


def column(nulls: int, mean: float) -> dict[str, Any]:
    numbers = {"count": 100, "mean": mean, "deviation": 2.0, "quantiles": {"0.5": mean}}
    return {"name": "age", "rows": 100, "nulls": nulls, "distinct": 5, "numbers": numbers}


def test_two_versions_are_compared_with_their_profiles(control: Control) -> None:
    datasets.add_version("default", dataset_version(V))
    datasets.add_version("default", dataset_version(W).model_copy(update={"target": "other"}))
    path = f"{PATH}/diff/{W}"
    assert control("GET", path)[1]["statistics"] is None
    for version, profile in ((V, column(0, 40.0)), (W, column(50, 48.0))):
        document = json.dumps({"file": {"rows": 100, "columns": [profile]}}).encode()
        objects.put(DATA, f"default/datasets/reviews/{version}/profile.json", document)
    found = control("GET", path)[1]
    assert (found["dataset"], found["from"], found["to"]) == ("reviews", V, W)
    assert found["target"] == {"from": "label", "to": "other"}
    (moved,) = found["statistics"]["columns"]
    assert (moved["shift"], moved["missing"]) == (4.0, {"from": 0.0, "to": 0.5})
    assert control.error("GET", f"{PATH}/diff/none")[:2] == (404, "not_found")


def test_a_deleted_version_leaves_its_models_and_nothing_else_of_its_rows(control: Control) -> None:
    furnish()
    status, answer = control("DELETE", PATH)
    assert (status, answer) == (
        200,
        {"deleted": V, "models": [{"model": "m", "version": "1"}], "models_deleted": False},
    )
    assert not any(V in key or "/r2/" in key or "scratch/reviews/r1/" in key for key in left())
    assert "default/packages/digest-r1/model.onnx" in left()
    assert "default/runs/r1/candidates/a/weights.safetensors" in left()
    assert {"default/scratch/reviews/r3/part", "default/scratch/else/r4/part"} <= left()
    assert control.error("GET", PATH)[:2] == (404, "not_found")
    assert [each["action"] for each in audit.latest("default")] == ["delete-dataset-version"]


def test_its_models_go_too_if_that_is_asked_for_but_not_under_a_route(control: Control) -> None:
    furnish()
    models.set_route("default", "m", Route({"2": 1.0}, "1"), revision=0, who="laptop")
    before = left()
    assert control.error("DELETE", f"{PATH}?models=true")[:2] == (409, "version_routed")
    assert (left(), audit.latest("default")) == (before, [])
    models.set_route("default", "m", Route({"2": 1.0}), revision=1, who="laptop")
    assert control("DELETE", f"{PATH}?models=true")[1]["models_deleted"]
    assert not any("r1/" in key for key in left())
    assert [each["version"] for each in models.versions("default", "m")] == ["2"]
    assert models.get_version("default", "other", "1") is not None
    assert {(each["action"], each["name"]) for each in audit.latest("default")} == {
        ("delete-dataset-version", f"reviews/{V}"),
        ("delete-model-version", "m/1"),
    }


def test_a_dataset_goes_with_all_the_models_trained_from_it(control: Control) -> None:
    furnish()
    answer = control("DELETE", "/v1/datasets/reviews?models=true")[1]
    assert [one["version"] for one in answer["models"]] == ["2", "1"]
    assert {key.split("/")[2] for key in left()} == {"r4", "digest-r4", "else"}


def test_nothing_is_deleted_under_a_run(control: Control) -> None:
    furnish()
    pipelines.start("default", "r9", {"dataset": "reviews", "upload": {}})
    assert control.error("DELETE", PATH)[:2] == (409, "dataset_in_use")
    assert control("GET", PATH)[0] == 200
