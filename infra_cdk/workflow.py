"""The state machine, top to bottom as the life cycle.

preprocess → train → select → package (evaluate, convert, optimise) → register → deploy → conclude

`Preprocess` prepares a small upload by itself. For a larger one it answers with the engine instead: `map`, the same
function over the parts of the file and then over the buckets of its rows, or `spark`. `Finish` then gives the answer
that `Preprocess` would have given (`modelmill.core.data.planner`).

Nothing flows in but how many candidates train at once; out comes the definition in Amazon States Language (JSONata),
with `${Names}` that the model stack replaces by the ARNs and buckets in SUBSTITUTIONS. The execution's input is
`{"run_id", "tenant", "dataset", "upload"}`; each function gets the whole state and its result is put beside it
(`preprocess`, `train`, `select`, `package`, `register`, `deploy`, `conclude`; `error` after a fault).

Rejected data is a value and takes a Choice; a fault
of the infrastructure is an error and takes a Catch; all end in Conclude, which closes the run's record. What no Catch
can see (abort, the machine's own timeout) is closed by the rule of the watch stack.
"""

from infra_cdk import preparation
from infra_cdk.asl import JOB_PREFIX, State, catch, choice, environment, expression, function, put, retry

SUBSTITUTIONS = (
    "PreprocessArn",
    "SelectArn",
    "RegisterArn",
    "DeployArn",
    "ConcludeArn",
    "JobImage",
    "SageMakerRoleArn",
    "BatchJobDefinition",
    "BatchQueue",
    "TableName",
    "DataBucket",
    "ModelsBucket",
    "Region",
    "SparkApplication",
    "SparkRoleArn",
    "SparkEntryPoint",
    "SparkArchive",
    "SparkLog",
)
"""Every `${Name}` of the definition."""

DAY = 24 * 3_600
MAX_JOB_SECONDS = 5 * DAY
"""Longest job that a recipe may ask for; its own limit is enforced by SageMaker and Batch themselves."""
SPOT_WAIT_SECONDS = DAY
"""How long a spot job may wait for capacity, on top of its run time."""
TASK_SECONDS = MAX_JOB_SECONDS + SPOT_WAIT_SECONDS + 3_600
MACHINE_SECONDS = 3 * TASK_SECONDS
METRICS = [
    {"Name": name.replace("_", "-"), "Regex": rf"modelmill: .*\b{name}=([-+.0-9a-z]+)"}
    for name in ("epoch", "training_loss", "validation_loss", "learning_rate")
]
"""What SageMaker reads in the job's log lines while it runs (`modelmill.training.progress.line`)."""
SAGEMAKER_FAULTS = ["SageMaker.AmazonSageMakerException", "SageMaker.ResourceLimitExceededException"]
BATCH_FAULTS = ["Batch.BatchException", "Batch.AWSBatchException", "Batch.ServerException"]


def definition(*, concurrency: int, map_concurrency: int) -> State:
    """The state machine; at most `concurrency` candidates train, `map_concurrency` parts are read at the same time."""
    return {
        "Comment": "modelmill: data in, endpoint out",
        "QueryLanguage": "JSONata",
        "TimeoutSeconds": MACHINE_SECONDS,
        "StartAt": "Preprocess",
        "States": {
            # data: check, clean, split; the result says what to train and where
            **preparation.states(concurrency=map_concurrency, then="Preprocessed?"),
            "Preprocessed?": _if_ok("preprocess", then="Train"),
            # model: every candidate is a job of its own; one that fails does not stop the others
            "Train": _train(concurrency, then="Select"),
            "Select": function("Select", seconds=120, then="Selected?"),
            "Selected?": _if_ok("select", then="Package"),
            # model: evaluate → convert → optimise is one job, because starting a job costs minutes
            "Package": _engine(sagemaker="PackageOnSageMaker", batch="PackageOnBatch"),
            "PackageOnSageMaker": _sagemaker_job("package") | _package_edges(then="Register"),
            "PackageOnBatch": _batch_job("package") | _package_edges(then="Register"),
            "Register": function("Register", seconds=120, then="Deploy"),
            # serve: the route moves to the new version
            "Deploy": function("Deploy", seconds=120, then="Conclude"),
            # watch: every path ends here
            "Conclude": function("Conclude", seconds=300, then="Concluded?", on_fault="Failed"),
            "Concluded?": _concluded(),
            "Succeeded": {"Type": "Succeed"},
            "DataEnded": {"Type": "Succeed"},
            "Failed": {
                "Type": "Fail",
                "Error": "PipelineFailed",
                "Cause": "{% $substring($string({'reason': $states.input.conclude.reason, "
                "'error': $states.input.error}), 0, 4000) %}",
            },
        },
    }


def _train(concurrency: int, *, then: str) -> State:
    """A Map over the candidates; each item carries what a job needs and its candidate."""
    return {
        "Type": "Map",
        "Items": "{% $states.input.preprocess.candidates %}",
        "ItemSelector": {
            "run_id": "{% $states.input.run_id %}",
            "tenant": "{% $states.input.tenant %}",
            "dataset": "{% $states.input.dataset %}",
            "preprocess": "{% $states.input.preprocess %}",
            "candidate": "{% $states.context.Map.Item.Value %}",
        },
        "MaxConcurrency": concurrency,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            "StartAt": "TrainOn",
            "States": {
                "TrainOn": _engine(sagemaker="TrainOnSageMaker", batch="TrainOnBatch"),
                "TrainOnSageMaker": _sagemaker_job("train") | _train_edges(),
                "TrainOnBatch": _batch_job("train") | _train_edges(),
                "CandidateFailed": {"Type": "Pass", "End": True},
            },
        },
        **put("train", "$states.result"),
        "Catch": [catch("Conclude")],
        "Next": then,
    }


def _train_edges() -> State:
    """Completed → the candidate's name; Failed, Stopped, timed out, no capacity → `failed`, and the others go on."""
    return {
        "Output": "{% {'candidate': $states.input.candidate, 'failed': false} %}",
        "Catch": [
            {
                "ErrorEquals": ["States.ALL"],
                "Output": "{% {'candidate': $states.input.candidate, 'failed': true, 'error': "
                "$states.errorOutput.Error, 'cause': $substring($states.errorOutput.Cause, 0, 2000)} %}",
                "Next": "CandidateFailed",
            }
        ],
        "End": True,
    }


def _package_edges(*, then: str) -> State:
    """Completed → on; Failed, Stopped, timed out, no capacity → Conclude with the error."""
    return put("package", "{'candidate': $states.input.select.candidate}") | {
        "Catch": [catch("Conclude")],
        "Next": then,
    }


def _sagemaker_job(stage: str) -> State:
    """A SageMaker training job and the wait for its end. SageMaker keeps and restores the checkpoints of spot jobs."""
    compute = "$states.input.preprocess.compute"
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Arguments": {
            "TrainingJobName": _job_name(stage),
            "AlgorithmSpecification": {
                "TrainingImage": "${JobImage}",
                "TrainingInputMode": "File",
                "MetricDefinitions": METRICS,
            },
            "RoleArn": "${SageMakerRoleArn}",
            "HyperParameters": {
                "stage": stage,
                "run": "{% $states.input.preprocess.run_uri %}",
                "candidate": f"{{% {_candidate(stage)} %}}",
            },
            "Environment": environment(),
            "InputDataConfig": [
                {
                    "ChannelName": "dataset",
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3DataDistributionType": "FullyReplicated",
                            "S3Uri": "{% 's3://${DataBucket}/' & $states.input.tenant & '/datasets/' & "
                            "$states.input.dataset & '/' & $states.input.preprocess.dataset_version & '/' %}",
                        }
                    },
                }
            ],
            "OutputDataConfig": {"S3OutputPath": "{% $states.input.preprocess.run_uri & 'output/' %}"},
            "CheckpointConfig": {
                "S3Uri": "{% $states.input.preprocess.run_uri & 'checkpoints/"
                f"{stage}/' & {_candidate(stage)} & '/' %}}"
            },
            "ResourceConfig": {
                "InstanceCount": _instances(stage),
                "InstanceType": f"{{% {compute}.instance_type %}}",
                "VolumeSizeInGB": 50,
            },
            "EnableManagedSpotTraining": f"{{% {compute}.spot %}}",
            # SageMaker refuses a waiting time on a job that is not a spot job.
            "StoppingCondition": f"{{% {compute}.spot ? "
            f"{{'MaxRuntimeInSeconds': {compute}.max_seconds, "
            f"'MaxWaitTimeInSeconds': {compute}.max_seconds + {SPOT_WAIT_SECONDS}}} : "
            f"{{'MaxRuntimeInSeconds': {compute}.max_seconds}} %}}",
            "RetryStrategy": {"MaximumRetryAttempts": 2},
        },
        "TimeoutSeconds": TASK_SECONDS,
        "Retry": [retry(SAGEMAKER_FAULTS, first_wait=30)],
    }


def _batch_job(stage: str) -> State:
    """A Batch job on EC2 and the wait for its end. The job definition retries a reclaimed spot host.

    There are queues and definitions for both kinds of hosts. Jobs of several hosts have a definition of their own,
    whose container cannot be overridden but node by node, and Batch runs them on no spot hosts ("Compute environment
    considerations for MNP with AWS Batch").
    """
    compute = "$states.input.preprocess.compute"
    kind = f"($contains({compute}.instance_type, /^ml\\.[gp]/) ? 'gpu' : 'cpu')"
    container = {
        "Command": [
            "--stage",
            stage,
            "--run",
            "{% $states.input.preprocess.run_uri %}",
            "--candidate",
            f"{{% {_candidate(stage)} %}}",
        ],
        "Environment": [{"Name": name, "Value": value} for name, value in environment().items()],
    }
    job = {
        "JobName": _job_name(stage),
        "JobDefinition": f"{{% '${{BatchJobDefinition}}-' & {kind} %}}",
        "JobQueue": f"{{% '${{BatchQueue}}-' & {kind} & ({compute}.spot ? '-spot' : '-on-demand') %}}",
        "ContainerOverrides": container,
        "Timeout": {"AttemptDurationSeconds": f"{{% {compute}.max_seconds %}}"},
    }
    together = {name: job[name] for name in ("JobName", "Timeout")} | {
        "JobDefinition": f"{{% '${{BatchJobDefinition}}-nodes-' & {kind} %}}",
        "JobQueue": f"{{% '${{BatchQueue}}-' & {kind} & '-on-demand' %}}",
        "NodeOverrides": {
            "NumNodes": f"{{% {compute}.instances %}}",
            "NodePropertyOverrides": [{"TargetNodes": "0:", "ContainerOverrides": container}],
        },
    }
    several = f"{{% {compute}.instances > 1 ? {expression(together)} : {expression(job)} %}}"
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::batch:submitJob.sync",
        "Arguments": several if stage == "train" else job,
        "TimeoutSeconds": TASK_SECONDS,
        "Retry": [retry(BATCH_FAULTS, first_wait=30)],
    }


def _instances(stage: str) -> str | int:
    """Only a training is spread over several instances."""
    return "{% $states.input.preprocess.compute.instances %}" if stage == "train" else 1


def _candidate(stage: str) -> str:
    return "$states.input.candidate" if stage == "train" else "$states.input.select.candidate"


def _job_name(stage: str) -> str:
    """Unique also for a retry or a redrive, at most 63 letters, digits and hyphens: prefix, run, candidate, random."""
    what = _candidate(stage) if stage == "train" else f"'{stage}'"
    return (
        f"{{% '{JOB_PREFIX}' & $states.input.run_id & '-' & "
        f"$substring($replace({what}, /[^A-Za-z0-9]/, '-'), 0, 17) & '-' & $substring($uuid(), 0, 8) %}}"
    )


def _if_ok(name: str, *, then: str) -> State:
    return choice(f"$states.input.{name}.status = 'ok'", then=then, otherwise="Conclude")


def _concluded() -> State:
    """Data that was refused is no fault: faults fail the execution, and wake somebody."""
    ended = {"Condition": "{% $not($states.input.conclude.fault) %}", "Next": "DataEnded"}
    ends = choice("$states.input.conclude.status = 'SUCCEEDED'", then="Succeeded", otherwise="Failed")
    return ends | {"Choices": [*ends["Choices"], ended]}


def _engine(*, sagemaker: str, batch: str) -> State:
    return choice("$states.input.preprocess.compute.engine = 'batch'", then=batch, otherwise=sagemaker)
