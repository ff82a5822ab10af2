"""Preprocess step by step: what the workflow calls for a large upload ends as one function alone would end it."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from modelmill.aws import objects
from modelmill.aws.clients import client
from modelmill.aws.records import pipelines
from modelmill.core.names import SCRATCH_TAG
from tests.functions.data.conftest import DATA, UPLOADS, event, handler_of
from tests.unit.data.files import reviews_csv
from tests.unit.data.mixed import mixed_csv

preprocess = handler_of("preprocess")
pytestmark = pytest.mark.usefixtures("aws")
FOLDER = "default/reviews/first/"
RUN_ID = event("preprocess")["run_id"]


def begun(content: bytes, recipe: str, file: str = "reviews.csv") -> tuple[dict[str, Any], dict[str, Any]]:
    """Put an upload and its recipe into the bucket, and call the function as the workflow does first."""
    objects.put(UPLOADS, FOLDER + file, content)
    objects.put(UPLOADS, FOLDER + "recipe.yaml", recipe.encode())
    upload = event("preprocess")["upload"] | {"key": FOLDER + file, "size": len(content)}
    given = event("preprocess") | {"upload": upload}
    return given, preprocess(given, None)


def driven(content: bytes, recipe: str, file: str = "reviews.csv", times: int = 1) -> dict[str, Any]:
    """What the workflow's states do with the answers of the function, each call so many times."""
    given, answer = begun(content, recipe, file)

    def each(step: str, count: int) -> None:
        for index in [*range(count)] * times:
            assert preprocess({**given, "step": step, "index": index}, None) == {}

    def over(step: str) -> dict[str, Any]:
        return [preprocess({**given, "step": step, "preprocess": answer}, None) for _ in range(times)][-1]

    ways: list[tuple[str, str, str]] = [("scan", "parts", "decide"), ("transform", "parts", "settle")]
    for step, count, after in [*ways, ("write", "buckets", "finish")]:
        if answer["status"] != "map":
            return answer
        each(step, answer[count])
        answer = over(after)
    return answer


def version_files(answer: dict[str, Any]) -> dict[str, bytes]:
    prefix = f"default/datasets/reviews/{answer['dataset_version']}/"
    return {key.removeprefix(prefix): objects.get(DATA, key) for key in objects.keys(DATA, prefix)}


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("reviews.csv", content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("file", "pack"), [("reviews.csv", bytes), ("reviews.csv.gz", gzip.compress), ("reviews.zip", zipped)]
)
def test_the_map_ends_in_the_version_of_one_function(file: str, pack: Callable[[bytes], bytes]) -> None:
    mapped = driven(pack(mixed_csv()), "target: answer\nprepare: {engine: map}\n", file, times=2)
    assert mapped["status"] == "ok"
    kept = version_files(mapped)
    objects.delete_all(DATA, "default/datasets/")
    client("dynamodb").delete_item(
        TableName="registry",
        Key={"pk": {"S": "default#dataset#reviews"}, "sk": {"S": mapped["dataset_version"]}},
    )
    alone = driven(pack(mixed_csv()), "target: answer\nprepare: {engine: lambda}\n", file)
    assert alone == mapped
    assert {"train.parquet", "quarantine.jsonl", "profile.json"} <= set(kept)
    if found := version_files(alone):
        assert [name for name in kept if name != "version.json" and kept[name] != found[name]] == []


def test_what_lies_between_is_tagged_to_be_removed_and_what_stays_is_not() -> None:
    driven(mixed_csv(), "target: answer\nprepare: {engine: map}\n")
    tags = {key: client("s3").get_object_tagging(Bucket=DATA, Key=key)["TagSet"] for key in objects.keys(DATA, "")}
    between = {key for key in tags if key.startswith(f"default/scratch/reviews/{RUN_ID}/")}
    name, value = SCRATCH_TAG
    assert len(between) > 5
    assert all(tags[key] == [{"Key": name, "Value": value}] for key in between)
    assert len(tags) > len(between)
    assert all(tags[key] == [] for key in tags.keys() - between)


def test_progress_is_said_between_the_steps_and_by_no_part() -> None:
    given, answer = begun(mixed_csv(), "target: answer\nprepare: {engine: map}\n")
    (stage,) = pipelines.stages("default", RUN_ID)
    assert (answer, stage["status"], stage["message"]) == ({"status": "map", "parts": 1}, "RUNNING", "1 parts to read")
    preprocess({**given, "step": "scan", "index": 0}, None)
    assert pipelines.stages("default", RUN_ID) == [stage]
    preprocess({**given, "step": "decide"}, None)
    assert pipelines.stages("default", RUN_ID)[0]["fraction"] > 0


@pytest.mark.parametrize(
    ("error", "code"),
    [("Runtime.OutOfMemory", "out_of_memory"), ("Sandbox.Timedout", "timed_out"), ("KeyError", "stage_failed")],
)
def test_a_part_that_fails_leaves_its_reason_on_record(error: str, code: str) -> None:
    given, _ = begun(mixed_csv(), "target: answer\nprepare: {engine: map}\n")
    failed = given | {"step": "failed", "index": 0, "error": {"Error": error, "Cause": '{"errorMessage": "x"}'}}
    assert preprocess(failed, None) == {}
    (stage,) = pipelines.stages("default", RUN_ID)
    assert (stage["status"], stage["detail"]["code"]) == ("FAILED", code)
    assert stage["detail"]["message"].startswith("preprocess: ")


@pytest.mark.parametrize(
    ("content", "recipe", "code", "counted"),
    [
        (reviews_csv(10).encode(), "", "too_few_rows", True),
        (reviews_csv().encode(), "target: nothing\n", "missing_target", True),
        (b"", "", "empty_file", False),
        (b"\x89PNG\r\n" + bytes(range(256)), "", "not_a_data_file", False),
        (reviews_csv(2_000).encode(), "split: {folds: leave-one-out}\n", "bad_recipe", True),
    ],
)
def test_what_one_function_refuses_the_map_refuses_with_the_same_words(
    content: bytes, recipe: str, code: str, *, counted: bool
) -> None:
    mapped = driven(content, recipe + "prepare: {engine: map}\n")
    assert (mapped["status"], mapped["reason"]["code"]) == ("rejected", code)
    assert ("rows" in mapped) is counted
    assert mapped == driven(content, recipe + "prepare: {engine: lambda}\n")
    assert pipelines.stages("default", RUN_ID)[0]["status"] == "FAILED"


def test_spark_is_told_where_the_plain_files_are() -> None:
    _, answer = begun(zipped(mixed_csv()), "target: answer\nprepare: {engine: spark}\n", "reviews.zip")
    assert answer == {"status": "spark"}
    work = json.loads(objects.get(DATA, f"default/scratch/reviews/{RUN_ID}/work.json"))
    (file,) = work["files"]
    assert objects.get(file["place"]["bucket"], file["place"]["key"]) == mixed_csv()


@pytest.mark.parametrize("engine", ["map", "spark"])
def test_images_are_refused_by_engines_that_share_the_work(engine: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(4):
            archive.writestr(f"{'cats' if number % 2 else 'dogs'}/{number}.png", b"\x89PNG")
    _, answer = begun(packed.getvalue(), f"prepare: {{engine: {engine}}}\n", "pets.zip")
    assert (answer["status"], answer["reason"]["code"]) == ("rejected", "bad_recipe")
    assert f"prepare.engine: {engine}" in answer["reason"]["message"]
