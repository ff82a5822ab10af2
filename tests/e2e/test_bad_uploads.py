"""Bad files: the run ends with a stated reason, the file is kept in quarantine, and the next upload works."""

import gzip

import pytest

from tests.e2e.samples import machines, reviews, to_csv
from tests.e2e.steps import Steps

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63")
HEADER = ["text", "label"]

BAD = {
    "empty_file": b"",
    "not_a_data_file": PNG + bytes(range(256)),
    "one_column": to_csv(["text"], [[f"only text number {i} in this file"] for i in range(50)]),
    "one_class": to_csv(HEADER, [[f"text number {i} of this one class", "yes"] for i in range(50)]),
    "too_few_rows": to_csv(HEADER, [[f"text number {i} of ten rows", i % 2] for i in range(10)]),
}


@pytest.mark.parametrize("code", BAD)
def test_a_bad_file_is_rejected_with_its_reason_and_kept(steps: Steps, code: str) -> None:
    run = steps.run(f"bad-{code}", BAD[code], "upload.csv")
    assert run["status"] == "FAILED"
    assert run["reason"]["code"] == code
    assert run["reason"]["message"]
    assert run["reason"]["hint"]
    assert steps.quarantined(run["upload"]) == BAD[code]
    assert steps.get(f"/v1/models/bad-{code}").status_code == 404


def test_a_target_that_is_not_there_is_named_with_the_columns(steps: Steps) -> None:
    run = steps.run("bad-target", reviews(), "reviews.csv", recipe=b"target: feeling\n")
    assert run["reason"]["code"] == "missing_target"
    assert "feeling" in run["reason"]["message"]
    assert "mood" in str(run["reason"])


def test_a_recipe_that_is_no_recipe_is_refused(steps: Steps) -> None:
    run = steps.run("bad-recipe", reviews(), "reviews.csv", recipe=b"taget: mood\n")
    assert run["reason"]["code"] == "bad_recipe"
    assert "taget" in run["reason"]["message"]


def test_a_key_of_another_shape_is_reported_not_lost(steps: Steps) -> None:
    run = steps.run_key("astray.csv", reviews())
    assert run["status"] == "FAILED"
    assert run["reason"]["code"] == "bad_upload_key"


def test_after_all_that_a_good_gzipped_file_works(steps: Steps) -> None:
    run = steps.run("good-after-bad", gzip.compress(machines(rows=120, seed=9)), "machines.csv.gz")
    assert run["status"] == "SUCCEEDED", run["reason"]
