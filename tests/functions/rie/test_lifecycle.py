"""Every function of the life cycle from its zips, on the bundled reviews: what it answers and what it leaves behind."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from modelmill.core.model.integrity import FILES, MANIFEST
from tests.functions.rie import world
from tests.functions.rie.conftest import Start
from tests.functions.rie.life import Run, event
from tests.functions.rie.runtime import Emulated, FunctionError


def record(aws: world.World, run: Run) -> dict[str, Any]:
    """The run's record."""
    (item,) = [item for item in aws.records("default#pipelines") if item["sk"]["S"] == run["run_id"]]
    body: dict[str, Any] = json.loads(item["body"]["S"])
    return body | {"status": item["run_status"]["S"]}


def stages(aws: world.World, run: Run) -> dict[str, str]:
    """Status of each stage that has begun; a candidate's is `stage/candidate`."""
    bodies = [json.loads(item["body"]["S"]) for item in aws.records(f"default#pipeline#{run['run_id']}")]
    return {"/".join(filter(None, (body["stage"], body["candidate"]))): body["status"] for body in bodies}


def test_ingest_starts_the_run_that_the_event_names(ingested: Run, aws: world.World) -> None:
    assert ingested["tenant"] == "default"
    assert ingested["dataset"] == "reviews"
    assert ingested["upload"]["bucket"] == world.UPLOADS
    assert record(aws, ingested)["id"] == ingested["run_id"]


def test_ingest_starts_nothing_for_the_same_event_again(
    start: Start, uploaded: Run, ingested: Run, aws: world.World
) -> None:
    assert start("data/ingest").invoke(uploaded) == {"batchItemFailures": []}
    assert [name for name in aws.executions if name == ingested["run_id"]] == [ingested["run_id"]]


def test_ingest_gives_back_the_poisoned_message_alone(start: Start, uploaded: Run) -> None:
    poison = event("data/ingest-poison")["Records"][1]
    answer = start("data/ingest").invoke({"Records": [uploaded["Records"][0], poison]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": poison["messageId"]}]}


def test_preprocess_writes_the_dataset_version(preprocessed: Run, aws: world.World) -> None:
    result = preprocessed["preprocess"]
    assert result["status"] == "ok"
    assert (result["task"], result["target"]) == ("text-classification", "recommended")
    assert result["rows"]["read"] == result["rows"]["used"] + result["rows"]["quarantined"]
    written = aws.keys(world.DATA, f"default/datasets/reviews/{result['dataset_version']}/")
    assert written >= {"train.parquet", "validation.parquet", "test.parquet", "profile.bin", "version.json"}
    assert aws.get_json(world.MODELS, f"default/runs/{preprocessed['run_id']}/spec.json")["labels"] == ["no", "yes"]


def test_preprocess_gives_the_same_version_again(start: Start, preprocessed: Run, ingested: Run) -> None:
    again = start("data/preprocess").invoke(ingested)
    assert again["dataset_version"] == preprocessed["preprocess"]["dataset_version"]


def test_preprocess_rejects_an_empty_file_as_a_value(start: Start, ingested: Run, aws: world.World) -> None:
    key = "default/reviews/empty/reviews.csv"
    aws.put(world.UPLOADS, key, b"")
    upload = {"bucket": world.UPLOADS, "key": key, "version_id": None, "size": 0}
    answer = start("data/preprocess").invoke(ingested | {"run_id": "20260101t000000-empty", "upload": upload})
    assert answer["status"] == "rejected"
    assert answer["reason"]["code"]
    assert answer["reason"]["message"]


def test_select_ranks_all_candidates(selected: Run) -> None:
    board = selected["select"]["leaderboard"]
    assert {row["candidate"] for row in board} == set(selected["preprocess"]["candidates"])
    assert selected["select"]["candidate"] == board[0]["candidate"]
    scores = [row["loss"] for row in board if row["loss"] is not None]
    assert len(scores) == len(board) > 0
    assert scores == sorted(scores)


def test_select_rejects_a_run_without_any_result(start: Start, preprocessed: Run) -> None:
    names = preprocessed["preprocess"]["candidates"]
    train = [{"candidate": name, "failed": True, "cause": "the instance was reclaimed"} for name in names]
    answer = start("model/select").invoke(preprocessed | {"run_id": "20260101t000000-none", "train": train})
    assert answer["status"] == "rejected"
    assert answer["reason"]["code"] == "no_candidate"


def test_register_numbers_the_package(registered: Run, aws: world.World) -> None:
    answer = registered["register"]
    assert (answer["model"], answer["version"]) == ("reviews", "1")
    assert aws.keys(world.MODELS, f"default/packages/{answer['digest']}/") == {*FILES, MANIFEST}
    accuracy = answer["metrics"]["accuracy"]
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]


def test_register_gives_a_known_package_its_number_again(start: Start, packaged: Run, registered: Run) -> None:
    assert start("model/register").invoke(packaged) == registered["register"]


def test_register_refuses_a_changed_package_by_its_error_name(
    start: Start, packaged: Run, registered: Run, aws: world.World
) -> None:
    key = f"default/packages/{registered['register']['digest']}/labels.json"
    kept = aws.get(world.MODELS, key)
    aws.put(world.MODELS, key, kept + b" ")
    try:
        with pytest.raises(FunctionError) as caught:
            start("model/register").invoke(packaged)
    finally:
        aws.put(world.MODELS, key, kept)
    assert caught.value.kind == "TamperedPackage"
    assert "labels.json" in caught.value.message
    # Once the bytes are back, a redrive goes on.
    assert start("model/register").invoke(packaged) == registered["register"]


def test_deploy_moves_the_route(deployed: Run) -> None:
    assert deployed["deploy"]["route"]["weights"] == {"1": 1.0}


@pytest.fixture
def predict(start: Start, deployed: Run) -> Emulated:
    assert deployed["register"]["model"] == "reviews"
    return start("serve/predict")


def test_predict_answers(predict: Emulated) -> None:
    reply = predict.invoke(event("serve/predict"))
    body = json.loads(reply["body"])
    assert reply["statusCode"] == 200, body
    assert (body["model"], body["version"]) == ("reviews", "1")
    for prediction in body["predictions"]:
        assert sum(prediction["scores"].values()) == pytest.approx(1, abs=1e-5)
        assert prediction["score"] == max(prediction["scores"].values())


def test_predict_counts_itself(predict: Emulated) -> None:
    predict.invoke(event("serve/predict"))
    metrics = [json.loads(line) for line in predict.log.splitlines() if line.startswith('{"_aws"')]
    assert metrics
    assert metrics[-1]["Predictions"] == len(json.loads(event("serve/predict")["body"])["instances"])
    assert (metrics[-1]["tenant"], metrics[-1]["model"], metrics[-1]["version"]) == ("default", "reviews", "1")


@pytest.mark.parametrize("body", ["", "{", "[]", '{"instances": []}', '{"instances": [{"colour": "red"}]}'])
def test_predict_refuses_a_bad_body_with_its_cause(predict: Emulated, body: str) -> None:
    reply = predict.invoke(event("serve/predict") | {"body": body})
    assert 400 <= reply["statusCode"] < 500
    assert json.loads(reply["body"])["error"]["code"]


def test_conclude_closes_a_run_that_went_well(start: Start, deployed: Run, aws: world.World) -> None:
    assert start("watch/conclude").invoke(deployed)["status"] == "SUCCEEDED"
    closed = record(aws, deployed)
    assert closed["status"] == "SUCCEEDED"
    assert closed["ended"]
    reported = stages(aws, deployed)
    expected = ("preprocess", "select", "evaluate", "convert", "optimise", "register", "deploy")
    assert {stage: reported[stage] for stage in expected} == dict.fromkeys(expected, "SUCCEEDED")


def test_conclude_quarantines_a_refused_file(start: Start, ingested: Run, aws: world.World) -> None:
    key = "default/reviews/refused/reviews.csv"
    upload = {"bucket": world.UPLOADS, "key": key, "version_id": None, "size": 1}
    aws.put(world.UPLOADS, key, b"x")
    reason = {"code": "empty_file", "message": "the file is empty"}
    state = ingested | {"upload": upload, "preprocess": {"status": "rejected", "reason": reason}}
    assert start("watch/conclude").invoke(state)["status"] == "FAILED"
    kept = "default/quarantine/reviews/refused/reviews.csv"
    assert aws.get(world.DATA, kept) == b"x"
    assert aws.get_json(world.DATA, f"{kept}.reason.json")["code"] == "empty_file"


def test_observe_counts_the_routed_models(start: Start, deployed: Run, aws: world.World) -> None:
    assert start("watch/observe").invoke(event("watch/observe")) == {"models": 1}
    (traffic,) = aws.records("default#traffic")
    assert traffic["sk"]["S"] == deployed["register"]["model"]


def test_control_lists_what_was_made(start: Start, deployed: Run) -> None:
    reply = start("serve/control").invoke(event("serve/control"))
    assert reply["statusCode"] == 200
    assert deployed["register"]["model"] in reply["body"]


def test_authorise_knows_a_key_by_its_hash(start: Start, create_key: Callable[[str], str]) -> None:
    asked = event("serve/authorise") | {"authorizationToken": f"Bearer {create_key('acme')}"}
    answer = start("serve/authorise").invoke(asked)
    assert answer["context"] == {"tenant": "acme", "key_name": "test"}
    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"


def test_authorise_refuses_in_the_words_that_api_gateway_turns_into_401(start: Start) -> None:
    for token in ("Bearer mm_unknown", "Bearer", "Basic bW06bW0=", "mm_unknown"):
        with pytest.raises(FunctionError) as caught:
            start("serve/authorise").invoke(event("serve/authorise") | {"authorizationToken": token})
        assert (caught.value.kind, caught.value.message) == ("Exception", "Unauthorized")
