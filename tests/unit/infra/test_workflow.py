"""The state machine's definition: the life cycle in order, an edge for every outcome, expressions that evaluate."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonata  # type: ignore[import-untyped]
import pytest

from infra_cdk import asl, workflow
from modelmill.core.lifecycle import STAGES
from modelmill.core.limits import LAMBDA_SECONDS, STATE_PAYLOAD_BYTES
from modelmill.core.model.recipe import Compute
from modelmill.training.progress import line

MACHINE = workflow.definition(concurrency=4, map_concurrency=40)
TOP: dict[str, Any] = MACHINE["States"]
ITEM: dict[str, Any] = TOP["Train"]["ItemProcessor"]["States"]
WIDE = {name: state for name, state in TOP.items() if "DISTRIBUTED" in str(state.get("ItemProcessor"))}
# The states of the children: of each step one that works on a part, one that leaves why it failed, and the end of it.
CHILD: dict[str, Any] = {name: task for wide in WIDE.values() for name, task in wide["ItemProcessor"]["States"].items()}
ALL = TOP | ITEM | CHILD
TASKS = {name: state for name, state in ALL.items() if state["Type"] == "Task"}
JOBS = {name: state for name, state in TASKS.items() if re.search(r"(sagemaker|batch):.*\.sync", state["Resource"])}
INPUT: dict[str, Any] = {
    "run_id": "20261124T150000-0123456789",
    "tenant": "default",
    "dataset": "reviews",
    "preprocess": {
        "status": "ok",
        "dataset_version": "abc",
        "candidates": ["linear"],
        "compute": Compute(instance_type="ml.g4dn.xlarge").model_dump(),
        "run_uri": "s3://models/default/runs/20261124T150000-0123456789/",
    },
    "candidate": "ngram-embedding",
    "select": {"status": "ok", "candidate": "ngram-embedding"},
}


def evaluate(value: Any, state: dict[str, Any], **more: Any) -> Any:
    """A template with its expressions evaluated, as Step Functions does."""
    if isinstance(value, dict):
        return {key: evaluate(inner, state, **more) for key, inner in value.items()}
    if isinstance(value, list):
        return [evaluate(inner, state, **more) for inner in value]
    if not (isinstance(value, str) and value.startswith("{%")):
        return value
    expression = jsonata.Jsonata.jsonata(value[2:-2].strip())
    expression.register_lambda("uuid", lambda: "01234567-89ab-cdef-0123-456789abcdef")
    return expression.evaluate(None, {"states": {"input": state, **more}})


def with_compute(**changes: Any) -> dict[str, Any]:
    compute = INPUT["preprocess"]["compute"] | changes
    return INPUT | {"preprocess": INPUT["preprocess"] | {"compute": compute}}


def edges(state: dict[str, Any]) -> Iterator[str]:
    yield from (state[key] for key in ("Next", "Default") if key in state)
    yield from (branch["Next"] for key in ("Choices", "Catch") for branch in state.get(key, []))


def reachable(start: str, without: str = "") -> set[str]:
    seen, todo = set(), [start]
    while todo:
        name = todo.pop()
        if name not in seen and name != without:
            seen.add(name)
            todo += edges(TOP[name])
    return seen


def test_states_are_the_stages_of_the_life_cycle_in_order() -> None:
    wanted = list(dict.fromkeys(stage.state for stage in STAGES if stage.state))
    assert [name for name in TOP if name in wanted] == wanted
    invoked = [task["Arguments"]["FunctionName"] for task in TASKS.values() if "lambda:invoke" in task["Resource"]]
    called = {name[2:-4] for name in invoked}
    assert called == {stage.state for stage in STAGES if stage.state and stage.function != "model/job"}


def test_every_state_is_reached_and_every_path_ends_by_conclude() -> None:
    assert reachable(MACHINE["StartAt"]) == set(TOP)
    ends = {name for name, state in TOP.items() if state["Type"] in ("Succeed", "Fail")}
    assert ends == {"Succeeded", "DataEnded", "Failed"}
    assert not ends & reachable(MACHINE["StartAt"], without="Conclude")


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_timeout_a_retry_and_a_catch(name: str) -> None:
    task = TASKS[name]
    assert task["TimeoutSeconds"] > 0
    (retry,) = task["Retry"]
    assert retry["BackoffRate"] > 1
    assert retry["MaxAttempts"] >= 3
    assert not {"States.ALL", "States.TaskFailed"} & set(retry["ErrorEquals"]), "a fault of ours is not tried again"
    if name.endswith("OneFailed"):  # an execution of its own; what it does not survive, the map catches
        assert "Catch" not in task
        return
    (catch,) = task["Catch"]
    assert catch["ErrorEquals"] == ["States.ALL"]
    assert catch["Next"] == {"Conclude": "Failed"}.get(
        name, "CandidateFailed" if name in ITEM else f"{name}Failed" if name in CHILD else "Conclude"
    )


def test_the_machine_and_the_map_are_bounded() -> None:
    assert MACHINE["TimeoutSeconds"] > 2 * workflow.TASK_SECONDS
    assert Compute.model_fields["max_seconds"].metadata[1].le == workflow.MAX_JOB_SECONDS
    assert TOP["Train"]["MaxConcurrency"] == 4
    assert TOP["Train"]["Catch"]


def test_both_engines_are_written_in_full_for_both_jobs() -> None:
    assert {name: job["Resource"].rpartition(":::")[2] for name, job in JOBS.items()} == {
        "TrainOnSageMaker": "sagemaker:createTrainingJob.sync",
        "TrainOnBatch": "batch:submitJob.sync",
        "PackageOnSageMaker": "sagemaker:createTrainingJob.sync",
        "PackageOnBatch": "batch:submitJob.sync",
    }
    for states, choice in ((ITEM, "TrainOn"), (TOP, "Package")):
        (branch,) = states[choice]["Choices"]
        for engine, expected in (("batch", "OnBatch"), ("sagemaker", "OnSageMaker")):
            taken = evaluate(branch["Condition"], with_compute(engine=engine))
            assert (branch["Next"] if taken else states[choice]["Default"]).endswith(expected)


@pytest.mark.parametrize("status", ["Failed", "Stopped", "FAILED", "TIMED_OUT", "no capacity"])
@pytest.mark.parametrize("name", JOBS)
def test_every_end_of_a_job_but_the_good_one_has_its_edge(name: str, status: str) -> None:
    """`.sync` raises States.TaskFailed or States.Timeout for each; the cause is kept for the reason of the run."""
    (catch,) = JOBS[name]["Catch"]
    output = evaluate(catch["Output"], INPUT, errorOutput={"Error": "States.TaskFailed", "Cause": status * 1_000})
    if name in ITEM:
        said = {"error": "States.TaskFailed", "cause": (status * 1_000)[:2_000]}
        assert output == {"candidate": "ngram-embedding", "failed": True, **said}
    else:
        assert output == INPUT | {"error": {"Error": "States.TaskFailed", "Cause": status * 1_000}}


@pytest.mark.parametrize("name", [name for name in JOBS if "SageMaker" in name])
@pytest.mark.parametrize("spot", [True, False])
def test_sagemaker_gets_a_waiting_time_for_spot_jobs_alone(name: str, spot: bool) -> None:
    request = evaluate(JOBS[name]["Arguments"], with_compute(spot=spot, max_seconds=600))
    assert request["EnableManagedSpotTraining"] is spot
    condition = request["StoppingCondition"]
    assert condition["MaxRuntimeInSeconds"] == 600
    assert condition.get("MaxWaitTimeInSeconds", 0) == (600 + workflow.SPOT_WAIT_SECONDS if spot else 0)
    assert request["CheckpointConfig"]["S3Uri"].startswith(INPUT["preprocess"]["run_uri"] + "checkpoints/")
    assert request["ResourceConfig"]["InstanceType"] == "ml.g4dn.xlarge"
    (channel,) = request["InputDataConfig"]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == "s3://${DataBucket}/default/datasets/reviews/abc/"


def test_both_engines_tell_the_job_the_same() -> None:
    for stage in ("Train", "Package"):
        sagemaker = evaluate(JOBS[f"{stage}OnSageMaker"]["Arguments"], INPUT)
        batch = evaluate(JOBS[f"{stage}OnBatch"]["Arguments"], INPUT)
        command = batch["ContainerOverrides"]["Command"]
        told = {key.removeprefix("--"): value for key, value in zip(command[::2], command[1::2], strict=True)}
        assert told == sagemaker["HyperParameters"]
        assert told["stage"] == stage.lower()
        environment = {pair["Name"]: pair["Value"] for pair in batch["ContainerOverrides"]["Environment"]}
        assert environment == sagemaker["Environment"]


@pytest.mark.parametrize("name", [name for name in JOBS if "Batch" in name])
@pytest.mark.parametrize(("instance", "kind"), [("ml.p4d.24xlarge", "gpu"), ("ml.m5.xlarge", "cpu")])
def test_batch_takes_the_hosts_that_the_recipe_asks_for(name: str, instance: str, kind: str) -> None:
    arguments = JOBS[name]["Arguments"]
    job = evaluate(arguments, with_compute(spot=True, instance_type=instance))
    assert (job["JobQueue"], job["JobDefinition"]) == (
        f"${{BatchQueue}}-{kind}-spot",
        f"${{BatchJobDefinition}}-{kind}",
    )
    job = evaluate(arguments, with_compute(spot=False, instance_type=instance, max_seconds=60))
    assert job["JobQueue"] == f"${{BatchQueue}}-{kind}-on-demand"
    assert job["Timeout"] == {"AttemptDurationSeconds": 60}


def test_several_instances_train_together_and_one_packages() -> None:
    several = with_compute(instances=4, spot=True)
    for stage, count in (("Train", 4), ("Package", 1)):
        job = evaluate(JOBS[f"{stage}OnSageMaker"]["Arguments"], several)
        assert job["ResourceConfig"]["InstanceCount"] == count
    one = evaluate(JOBS["TrainOnBatch"]["Arguments"], INPUT)
    job = evaluate(JOBS["TrainOnBatch"]["Arguments"], several)
    assert job["JobDefinition"] == "${BatchJobDefinition}-nodes-gpu"
    assert job["JobQueue"] == "${BatchQueue}-gpu-on-demand", "Batch runs jobs of several hosts on no spot hosts"
    assert "ContainerOverrides" not in job, "what Batch refuses beside NodeOverrides"
    (nodes,) = job["NodeOverrides"]["NodePropertyOverrides"]
    assert job["NodeOverrides"]["NumNodes"] == 4
    assert nodes == {"TargetNodes": "0:", "ContainerOverrides": one["ContainerOverrides"]}
    assert (job["JobName"], job["Timeout"]) == (one["JobName"], one["Timeout"])
    assert "ContainerOverrides" in evaluate(JOBS["PackageOnBatch"]["Arguments"], several)


def test_sagemaker_reads_the_metrics_in_the_lines_of_the_loop() -> None:
    epoch = {"epoch": 3, "training_loss": 0.25, "validation_loss": 1.5e-07, "learning_rate": 4e-3}
    found = {}
    for definition in evaluate(JOBS["TrainOnSageMaker"]["Arguments"], INPUT)["AlgorithmSpecification"][
        "MetricDefinitions"
    ]:
        match = re.search(definition["Regex"], line("fold 1 of 5", epoch))
        assert match
        found[definition["Name"].replace("-", "_")] = float(match[1])
    assert found == epoch


@pytest.mark.parametrize("candidate", ["mlp", "a", "ngram_embedding.v2-with-a-very-long-name", "1-----------------2"])
@pytest.mark.parametrize("name", JOBS)
def test_job_names_are_valid_whatever_the_candidate(name: str, candidate: str) -> None:
    request = evaluate(JOBS[name]["Arguments"], INPUT | {"candidate": candidate})
    job = request.get("TrainingJobName") or request["JobName"]
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", job), job
    assert job.startswith(asl.JOB_PREFIX)


def after(answer: dict[str, Any], start: str = "Prepared?") -> str:
    """Where a choice of the data phase leads after this answer of the function."""
    choice = TOP[start]
    state = INPUT | {"preprocess": answer}
    met = [branch["Next"] for branch in choice["Choices"] if evaluate(branch["Condition"], state) is True]
    return str([*met, choice["Default"]][0])


def test_the_function_prepares_a_small_upload_and_names_the_engine_for_a_large_one() -> None:
    assert after({"status": "ok"}) == after({"status": "rejected"}) == "Preprocessed?"
    assert after({"status": "map", "parts": 3}) == "ScanParts"
    assert after({"status": "spark"}) == "PrepareOnSpark"


def test_the_steps_over_parts_follow_each_other_and_a_refusal_leaves_them() -> None:
    way = ["ScanParts"]
    while way[-1] != "Preprocessed?":
        name = way[-1]
        way.append(after({"status": "map"}, name) if TOP[name]["Type"] == "Choice" else TOP[name]["Next"])
    steps = ["ScanParts", "Decide", "TransformParts", "Settle", "WriteBuckets", "Finish", "Preprocessed?"]
    assert [name for name in way if TOP[name]["Type"] != "Choice" or name == "Preprocessed?"] == steps
    for choice in ("Decided?", "Settled?"):
        assert after({"status": "rejected"}, choice) == "Preprocessed?"
    assert TOP["PrepareOnSpark"]["Next"] == "Finish"


@pytest.mark.parametrize(
    ("name", "count"), [("ScanParts", "parts"), ("TransformParts", "parts"), ("WriteBuckets", "buckets")]
)
def test_each_part_is_a_child_that_knows_its_number_and_carries_no_data(name: str, count: str) -> None:
    wide = WIDE[name]
    state = INPUT | {"upload": {"bucket": "b", "key": "k"}, "recipe": {"target": "x"}, "preprocess": {count: 3}}
    assert evaluate(wide["Items"], state) == [0, 1, 2]
    assert evaluate(wide["Items"], state | {"preprocess": {count: 1}}) == [0]
    item = evaluate(wide["ItemSelector"], state, context={"Map": {"Item": {"Value": 2}}})
    assert set(item) == {"run_id", "tenant", "dataset", "upload", "step", "index"}
    assert item["index"] == 2
    assert evaluate(wide["Output"], state) == state
    assert wide["MaxConcurrency"] == 40
    assert wide["ItemProcessor"]["ProcessorConfig"]["ExecutionType"] == "STANDARD", "an express child has five minutes"
    child = CHILD[wide["ItemProcessor"]["StartAt"]]
    assert child["Output"] == {}, "the results of ten thousand parts must fit into one state"
    assert child["TimeoutSeconds"] == LAMBDA_SECONDS


def test_a_part_that_fails_has_its_reason_put_on_record_and_fails_with_it() -> None:
    for wide in WIDE.values():
        states, start = wide["ItemProcessor"]["States"], wide["ItemProcessor"]["StartAt"]
        (catch,) = states[start]["Catch"]
        error = {"Error": "Runtime.OutOfMemory", "Cause": "x" * 30_000}
        state = evaluate(catch["Output"], INPUT | {"step": "scan", "index": 2}, errorOutput=error)
        leaves = states[catch["Next"]]
        told = evaluate(leaves["Arguments"]["Payload"], state)
        assert (told["step"], told["index"], told["error"]) == ("failed", 2, error)
        end = states[leaves["Next"]]
        assert end["Type"] == "Fail"
        state = evaluate(leaves["Output"], state)
        assert evaluate(end["Error"], state) == "Runtime.OutOfMemory"
        assert evaluate(end["Cause"], state) == "x" * 4_000


def test_parts_wait_for_a_function_as_long_as_others_may_take() -> None:
    """An account that runs ten functions at once refuses thirty of forty, until a part of up to 15 minutes is done."""
    for name in (wide["ItemProcessor"]["StartAt"] for wide in WIDE.values()):
        (retry,) = CHILD[name]["Retry"]
        assert "Lambda.TooManyRequestsException" in retry["ErrorEquals"]
        waits = [
            min(retry["MaxDelaySeconds"], retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt)
            for attempt in range(retry["MaxAttempts"])
        ]
        assert sum(waits) / 2 > LAMBDA_SECONDS, "jitter halves them on average"


def test_ten_thousand_parts_fit_into_a_state() -> None:
    assert (
        len(json.dumps(evaluate(WIDE["ScanParts"]["Items"], {"preprocess": {"parts": 10_000}}))) < STATE_PAYLOAD_BYTES
    )


def test_spark_is_told_the_run_the_code_and_the_environment_of_a_job() -> None:
    state = INPUT | {"upload": {"bucket": "b", "key": "t/d/u/f, g.csv"}, "recipe": {"x": "y" * 50_000}}
    request = evaluate(TOP["PrepareOnSpark"]["Arguments"], state)
    submit = request["JobDriver"]["SparkSubmit"]
    (argument,) = submit["EntryPointArguments"]
    assert json.loads(argument) == {name: state[name] for name in ("run_id", "tenant", "dataset", "upload")}
    settings = dict(
        pair.split("=", 1) for pair in submit["SparkSubmitParameters"].removeprefix("--conf ").split(" --conf ")
    )
    assert settings["spark.archives"] == "${SparkArchive}#environment"
    for name, value in {"PYTHONPATH": "./environment/python", "MODELMILL_TABLE": "${TableName}"}.items():
        assert settings[f"spark.executorEnv.{name}"] == settings[f"spark.emr-serverless.driverEnv.{name}"] == value
    assert 60 * request["ExecutionTimeoutMinutes"] < TOP["PrepareOnSpark"]["TimeoutSeconds"]


def test_results_are_put_beside_the_input_and_one_candidate_stays_a_list() -> None:
    state = evaluate(TOP["Preprocess"]["Output"], {"run_id": "r"}, result={"Payload": {"status": "ok"}})
    assert state == {"run_id": "r", "preprocess": {"status": "ok"}}
    assert evaluate(TOP["Train"]["Items"], INPUT) == ["linear"]
    train = [{"candidate": "linear", "failed": False}]
    assert evaluate(TOP["Train"]["Output"], INPUT, result=train)["train"] == train


@pytest.mark.parametrize(("name", "then"), [("Preprocessed?", "Train"), ("Selected?", "Package")])
def test_rejected_data_goes_to_conclude(name: str, then: str) -> None:
    (branch,) = TOP[name]["Choices"]
    key = {"Preprocessed?": "preprocess", "Selected?": "select"}[name]
    assert branch["Next"] == then
    assert evaluate(branch["Condition"], INPUT) is True
    assert evaluate(branch["Condition"], INPUT | {key: {"status": "rejected"}}) is False
    assert TOP[name]["Default"] == "Conclude"


@pytest.mark.parametrize(
    ("status", "fault", "end"),
    [("SUCCEEDED", False, "Succeeded"), ("FAILED", False, "DataEnded"), ("FAILED", True, "Failed")],
)
def test_only_a_fault_fails_the_execution(status: str, fault: bool, end: str) -> None:
    state = INPUT | {"conclude": {"status": status, "fault": fault, "reason": None}}
    choices = TOP["Concluded?"]["Choices"]
    met = [choice["Next"] for choice in choices if evaluate(choice["Condition"], state) is True]
    assert [*met, TOP["Concluded?"]["Default"]][0] == end


@pytest.mark.parametrize("state", [{}, {"conclude": {"status": "FAILED", "reason": {"code": "job_failed"}}}])
def test_a_failed_execution_says_why_even_if_conclude_could_not(state: dict[str, Any]) -> None:
    cause = evaluate(TOP["Failed"]["Cause"], {"error": {"Error": "E"}} | state)
    assert ("job_failed" if state else '"E"') in cause


def test_every_placeholder_is_substituted() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", json.dumps(MACHINE))) == set(workflow.SUBSTITUTIONS)


@pytest.mark.parametrize("stage", ["train", "package"])
def test_both_engines_say_the_region_to_botocore(stage: str) -> None:
    """Without it no client can be made: neither SageMaker nor Batch on EC2 sets AWS_DEFAULT_REGION."""
    assert workflow._sagemaker_job(stage)["Arguments"]["Environment"]["AWS_DEFAULT_REGION"] == "${Region}"
    overrides = evaluate(workflow._batch_job(stage)["Arguments"], INPUT)["ContainerOverrides"]
    assert {"Name": "AWS_DEFAULT_REGION", "Value": "${Region}"} in overrides["Environment"]
