"""The data phase of the state machine, however large the upload: where to go on in, its states out.

`Preprocess` prepares a small upload by itself. For a larger one its answer names the engine instead
(`modelmill.core.data.planner`), and another state has the work done:

- `map`: the same function over the parts of the file (`ScanParts`, `TransformParts`), then over the buckets of its rows
  (`WriteBuckets`); between them it decides about the whole (`Decide`, `Settle`);
- `spark`: one job does all that (`PrepareOnSpark`).

Then `Finish` gives the answer that `Preprocess` would have given. What passes from step to step lies in S3, under the
run's scratch prefix; the state holds only how many parts and buckets there are.
"""

from typing import Any

from infra_cdk.asl import JOB_PREFIX, LAMBDA_FAULTS, State, catch, choice, environment, function, retry

PATIENCE = 20
"""Attempts, over about half an hour, to have a part taken: where an account runs fewer functions at once than the map
would (ten, in a new one), the others are refused until a part is done, which takes up to fifteen minutes."""
SPARK_PYTHON = "/usr/bin/python3.11"
"""EMR's releases from 7.1 on have it beside the default, 3.9 ("Application versions in Amazon EMR 7.x releases")."""
SPARK_SECONDS = 12 * 3_600
"""Longest run on Spark, which ends it itself; the state waits as long again for its hosts."""
# The guide to Step Functions does not say how it writes the service's name in errors.
SPARK_FAULTS = [f"{service}.InternalServerException" for service in ("EMRServerless", "EmrServerless")]


def states(*, concurrency: int, then: str) -> State:
    """The states from `Preprocess` on; at most `concurrency` parts or buckets are worked on at the same time."""
    return {
        "Preprocess": function("Preprocess", seconds=900, then="Prepared?"),
        "Prepared?": _prepared(then),
        "ScanParts": _over("parts", "scan", concurrency=concurrency, then="Decide"),
        "Decide": _step("decide", then="Decided?"),
        "Decided?": _goes_on("TransformParts", then),
        "TransformParts": _over("parts", "transform", concurrency=concurrency, then="Settle"),
        "Settle": _step("settle", then="Settled?"),
        "Settled?": _goes_on("WriteBuckets", then),
        "WriteBuckets": _over("buckets", "write", concurrency=concurrency, then="Finish"),
        "PrepareOnSpark": _spark_job(then="Finish"),
        "Finish": _step("finish", then=then),
    }


def _prepared(then: str) -> State:
    """Done, or refused; else the engine that has to do it."""
    engines = choice("$states.input.preprocess.status = 'map'", then="ScanParts", otherwise=then)
    spark = choice("$states.input.preprocess.status = 'spark'", then="PrepareOnSpark", otherwise=then)
    return engines | {"Choices": [*engines["Choices"], *spark["Choices"]]}


def _goes_on(following: str, refused: str) -> State:
    return choice("$states.input.preprocess.status = 'map'", then=following, otherwise=refused)


def _step(step: str, *, then: str) -> State:
    """The function with the state and the name of a step; what it returns takes the place of `$.preprocess`."""
    task = function("Preprocess", seconds=900, then=then)
    payload = f"{{% $merge([$states.input, {{'step': '{step}'}}]) %}}"
    return task | {"Arguments": task["Arguments"] | {"Payload": payload}}


def _over(count: str, step: str, *, concurrency: int, then: str) -> State:
    """A step for each number below `$.preprocess.{count}`, each in a child execution; one that fails fails them all.

    The map's error says no more than that too many have failed. So a child that fails has the function put its reason
    on record first.

    The children are of the standard type: an express one ends after five minutes, a function may take fifteen; they
    cost five cents for a thousand parts. Their results are empty: what a part made, or why it was refused, is in S3.
    """
    name = f"{step.capitalize()}One"
    given = ("run_id", "tenant", "dataset", "upload")
    return {
        "Type": "Map",
        "Label": step.capitalize(),
        "Items": f"{{% [0..$states.input.preprocess.{count} - 1] %}}",
        "ItemSelector": {
            **{field: f"{{% $states.input.{field} %}}" for field in given},
            "step": step,
            "index": "{% $states.context.Map.Item.Value %}",
        },
        "MaxConcurrency": concurrency,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": name,
            "States": {
                name: _child("{% $states.input %}", {}) | {"Catch": [catch(f"{name}Failed")], "End": True},
                f"{name}Failed": _child("{% $merge([$states.input, {'step': 'failed'}]) %}", "{% $states.input %}")
                | {"Next": f"{name}Ended"},
                f"{name}Ended": {
                    "Type": "Fail",
                    "Error": "{% $states.input.error.Error %}",
                    "Cause": "{% $substring($states.input.error.Cause, 0, 4000) %}",
                },
            },
        },
        "Output": "{% $states.input %}",
        "Catch": [catch("Conclude")],
        "Next": then,
    }


def _child(payload: str, output: Any) -> State:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "${PreprocessArn}", "Payload": payload},
        "Output": output,
        "TimeoutSeconds": 900,
        "Retry": [retry(LAMBDA_FAULTS, first_wait=2, attempts=PATIENCE)],
    }


def _spark_job(*, then: str) -> State:
    """A Spark job on EMR Serverless and the wait for its end. What it made, or why it refused, is in S3."""
    run = ", ".join(f"'{field}': $states.input.{field}" for field in ("run_id", "tenant", "dataset", "upload"))
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::emr-serverless:startJobRun.sync",
        "Arguments": {
            "ApplicationId": "${SparkApplication}",
            "ExecutionRoleArn": "${SparkRoleArn}",
            "Name": f"{{% '{JOB_PREFIX}' & $states.input.run_id %}}",
            "ExecutionTimeoutMinutes": SPARK_SECONDS // 60,
            "JobDriver": {
                "SparkSubmit": {
                    "EntryPoint": "${SparkEntryPoint}",
                    "EntryPointArguments": [f"{{% $string({{{run}}}) %}}"],
                    "SparkSubmitParameters": _spark_settings(),
                }
            },
            "ConfigurationOverrides": {
                "MonitoringConfiguration": {
                    "CloudWatchLoggingConfiguration": {
                        "Enabled": True,
                        "LogGroupName": "${SparkLog}",
                        "LogStreamNamePrefix": "{% $states.input.run_id %}",
                    }
                }
            },
        },
        "Output": "{% $states.input %}",
        "TimeoutSeconds": 2 * SPARK_SECONDS,
        "Retry": [retry(SPARK_FAULTS, first_wait=30)],
        "Catch": [catch("Conclude")],
        "Next": then,
    }


def _spark_settings() -> str:
    """What spark-submit is told: our code with its libraries is an archive, unpacked where driver and executors start.

    Rows are held by Arrow in Python, not by the JVM: hence more memory beside the heap than on it.
    """
    variables = {"PYSPARK_PYTHON": SPARK_PYTHON, "PYTHONPATH": "./environment/python", **environment()}
    settings = {
        "spark.archives": "${SparkArchive}#environment",
        "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": SPARK_PYTHON,
        **{f"spark.emr-serverless.driverEnv.{name}": value for name, value in variables.items()},
        **{f"spark.executorEnv.{name}": value for name, value in variables.items()},
    }
    for process in ("driver", "executor"):
        settings |= {
            f"spark.{process}.cores": "4",
            f"spark.{process}.memory": "6g",
            f"spark.{process}.memoryOverhead": "8g",
            f"spark.emr-serverless.{process}.disk": "100g",
        }
    return " ".join(f"--conf {name}={value}" for name, value in settings.items())
