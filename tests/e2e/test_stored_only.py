"""Data that no model family learns from yet, pushed as a person does: a whole version, shown like any other."""

import json
import os
import subprocess
import sys
from typing import Any
from zipfile import ZipFile

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.e2e.steps import Steps
from tests.unit.data.media_files import encoded, picture

COMMAND = [sys.executable, "-c", "from modelmill.client.cli import main; main()"]


def modelmill(steps: Steps, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "MODELMILL_URL": steps.url, "MODELMILL_TOKEN": steps.token}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=240, check=False, env=environment
    )


@pytest.fixture(scope="module")
def pushed(steps: Steps, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Sixty pictures in three class folders, pushed as one zip; what the command printed."""
    path = tmp_path_factory.mktemp("pictures") / "pets.zip"
    with ZipFile(path, "w") as archive:
        for number in range(60):
            kind = ("cats", "dogs", "mice")[number % 3]
            archive.writestr(f"pets/{kind}/{number}.png", encoded(picture(number, (32, 24)), "PNG"))
    result = modelmill(steps, "push", str(path), "--name", "pets", "--wait", "--json")
    assert result.returncode == 1, result.stderr
    body: dict[str, Any] = json.loads(result.stdout)
    return body


def test_the_push_names_the_version_and_says_why_there_is_no_model(pushed: dict[str, Any]) -> None:
    assert (pushed["status"], pushed["reason"]["code"]) == ("FAILED", "no_candidates"), pushed
    assert pushed["version"] in pushed["reason"]["message"]
    assert "modelmill datasets show pets" in pushed["reason"]["hint"]
    assert pushed["rows"] == {"read": 60, "used": 60, "quarantined": 0}
    assert (pushed["task"], pushed["target"], pushed["model"]) == ("image-classification", "label", None)


def test_the_version_is_shown_with_its_rows_and_a_report_that_opens(steps: Steps, pushed: dict[str, Any]) -> None:
    listed = json.loads(modelmill(steps, "datasets", "show", "pets", "--json").stdout)
    assert [one["version"] for one in listed["versions"]] == [listed["latest"]] == [pushed["version"]]
    shown = json.loads(modelmill(steps, "datasets", "show", "pets", pushed["version"], "--json").stdout)
    assert sum(shown["splits"].values()) == 60
    assert shown["labels"] == ["cats", "dogs", "mice"]
    page = httpx.get(shown["links"]["report"], timeout=30)
    assert page.status_code == 200
    assert pushed["version"] in page.text
    train = steps.aws("s3").get_object(Bucket=steps.cloud["data_bucket"], Key=shown["prefix"] + "train.parquet")
    assert train["Body"].read(4) == b"PAR1"


def test_the_data_are_not_treated_as_bad(steps: Steps, pushed: dict[str, Any]) -> None:
    """The execution is no failed one, which would wake somebody, and the upload is not put into quarantine."""
    states = steps.aws("stepfunctions")
    machine = states.list_state_machines()["stateMachines"][0]["stateMachineArn"].replace(
        ":stateMachine:", ":execution:"
    )
    assert states.describe_execution(executionArn=f"{machine}:{pushed['pipeline']}")["status"] == "SUCCEEDED"
    upload = steps.get(f"/v1/pipelines/{pushed['pipeline']}").json()["upload"]
    with pytest.raises(ClientError, match="NoSuchKey"):
        steps.quarantined(upload)
