"""The three engines of the data phase in the local cloud: one upload, one version, whichever prepared it."""

from typing import Any

import pytest

from tests.e2e.samples import to_csv
from tests.e2e.steps import Steps
from tests.unit.data.mixed import mixed_csv

RECIPE = "task: text-regression\ntarget: stars\nprepare: {{engine: {engine}}}\n"
"""No model family learns measures from texts yet: the run ends with the stored version, without any training."""


def stage_of(run: dict[str, Any]) -> dict[str, Any]:
    (stage,) = [stage for stage in run["stages"] if stage["stage"] == "preprocess"]
    return dict(stage)


@pytest.mark.parametrize("engine", ["map", pytest.param("spark", marks=pytest.mark.spark)])
def test_the_same_upload_is_the_same_version_on_any_engine(steps: Steps, engine: str) -> None:
    name = f"engines-{engine}"
    runs = {
        way: steps.run(name, mixed_csv(300), "mixed.csv", recipe=RECIPE.format(engine=way).encode())
        for way in (engine, "lambda")
    }
    found = {way: (run["reason"], stage_of(run)["status"], stage_of(run)["message"]) for way, run in runs.items()}
    assert found[engine] == found["lambda"]
    assert found[engine][1] == "SUCCEEDED"
    listed = steps.get(f"/v1/datasets/{name}/versions").json()
    assert len(listed["versions"]) == 1, "the second run found the version of the first"


def test_a_refusal_of_the_map_is_the_run_s_reason(steps: Steps) -> None:
    content = to_csv(["text", "label"], [[f"text number {i} of ten rows", i % 2] for i in range(10)])
    run = steps.run("engines-refused", content, "few.csv", recipe=b"prepare: {engine: map}\n")
    assert (run["status"], run["reason"]["code"]) == ("FAILED", "too_few_rows")
    assert steps.quarantined(run["upload"]) == content
