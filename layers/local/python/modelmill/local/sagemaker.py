"""SageMaker's part of a training job, played around a process: CreateTrainingJob in, DescribeTrainingJob out.

Sources: "How Amazon SageMaker runs your training image", CreateTrainingJob, and "Call SageMaker AI APIs" in the Step
Functions guide (`.sync` results have PascalCase keys and times in epoch milliseconds).
"""

import json
import shutil
import tarfile
from pathlib import Path

from modelmill.aws import objects
from modelmill.local.jobs import Job, Outcome, run
from modelmill.local.place import (
    ENTRY_POINT,
    IMAGE_ROOT,
    REGION_ACCOUNT,
    Document,
    Place,
    TaskFailed,
    checked_name,
    milliseconds,
)


def create_training_job(request: Document, place: Place) -> Document:
    """`sagemaker:createTrainingJob.sync`: the DescribeTrainingJob of a completed job, or raises TaskFailed."""
    name = checked_name(
        "SageMaker.SagemakerException", request.get("TrainingJobName"), r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )
    if list((place.home / "logs" / "jobs").glob(f"*/{name}.log")):
        raise TaskFailed("SageMaker.ResourceInUseException", f"Training job names must be unique: {name} exists")
    folder = place.folder()
    try:
        problem = _prepare_training(request, folder)
        if problem:
            raise TaskFailed("States.TaskFailed", json.dumps(_training_failed(request, name, problem)))
        outcome = run(_training_job(request, name, folder, place), place.cancelled)
        _collect_training(request, name, folder)
        described = _describe_training(request, name, folder, outcome)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if outcome.status != "succeeded":
        raise TaskFailed("States.TaskFailed", json.dumps(described))
    return described


def _training_job(request: Document, name: str, folder: Path, place: Place) -> Job:
    algorithm = request.get("AlgorithmSpecification", {})
    command = [*algorithm.get("ContainerEntrypoint", ENTRY_POINT), *algorithm.get("ContainerArguments", ["train"])]
    return Job(
        name=name,
        command=tuple(command),
        environment={"TRAINING_JOB_NAME": name, **request.get("Environment", {})},
        max_seconds=float(request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86_400)),
        folder=folder,
        log=place.log(name),
    )


def _prepare_training(request: Document, folder: Path) -> str | None:
    """Write the config files and bring the channels and old checkpoints; a problem's FailureReason or None."""
    config = folder / "input" / "config"
    hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
    channels = request.get("InputDataConfig", [])
    for file, content in (
        ("hyperparameters.json", request.get("HyperParameters", {})),
        ("resourceconfig.json", hosts),
        ("inputdataconfig.json", {channel["ChannelName"]: channel for channel in channels}),
    ):
        (config / file).write_text(json.dumps(content), encoding="utf-8")
    for channel in channels:
        uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
        if not _download(uri, folder / "input" / "data" / channel["ChannelName"]):
            return f"ClientError: Data download failed: No S3 objects found under S3 URL {uri!r}"
    checkpoints = request.get("CheckpointConfig")
    if checkpoints:
        _download(checkpoints["S3Uri"], _inside(folder, checkpoints.get("LocalPath")))
    return None


def _collect_training(request: Document, name: str, folder: Path) -> None:
    """Take checkpoints and the model to S3, whatever the outcome was, as SageMaker does."""
    checkpoints = request.get("CheckpointConfig")
    if checkpoints:
        source = _inside(folder, checkpoints.get("LocalPath"))
        bucket, prefix = _split_uri(checkpoints["S3Uri"].rstrip("/") + "/")
        for path in sorted(source.rglob("*")):
            if path.is_file():
                objects.upload(bucket, prefix + path.relative_to(source).as_posix(), path)
    model = folder / "model"
    if "OutputDataConfig" in request and any(model.iterdir()):
        archive = folder / "model.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(model, arcname=".")
        objects.upload(*_split_uri(_artifact(request, name)), archive)


def _artifact(request: Document, name: str) -> str:
    return f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{name}/output/model.tar.gz"


def _inside(folder: Path, image_path: str | None) -> Path:
    """The path that stands for `/opt/ml/…` of the image."""
    relative = (image_path or f"{IMAGE_ROOT}/checkpoints").removeprefix(IMAGE_ROOT).strip("/")
    return folder / relative


def _download(uri: str, target: Path) -> int:
    """Bring all objects under an S3 prefix; how many there were."""
    target.mkdir(parents=True, exist_ok=True)
    bucket, prefix = _split_uri(uri)
    base, count = prefix[: prefix.rfind("/") + 1], 0
    for key in objects.keys(bucket, prefix):
        if not key.endswith("/"):
            objects.download(bucket, key, target / key.removeprefix(base))
            count += 1
    return count


def _split_uri(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


_TRAINING_STATUS = {
    "succeeded": ("Completed", "Completed"),
    "failed": ("Failed", "Failed"),
    "stopped": ("Stopped", "Stopped"),
    "timed_out": ("Stopped", "MaxRuntimeExceeded"),
}


def _describe_training(request: Document, name: str, folder: Path, outcome: Outcome) -> Document:
    status, secondary = _TRAINING_STATUS[outcome.status]
    seconds = round(outcome.ended - outcome.started)
    described = {
        **request,
        "TrainingJobName": name,
        "TrainingJobArn": f"arn:aws:sagemaker:{REGION_ACCOUNT}:training-job/{name}",
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary,
        "CreationTime": milliseconds(outcome.started),
        "TrainingStartTime": milliseconds(outcome.started),
        "TrainingEndTime": milliseconds(outcome.ended),
        "LastModifiedTime": milliseconds(outcome.ended),
        "TrainingTimeInSeconds": seconds,
        "BillableTimeInSeconds": seconds,
    }
    if outcome.status == "failed":
        described["FailureReason"] = _failure_reason(folder, outcome)
    if outcome.status == "succeeded" and "OutputDataConfig" in request:
        described["ModelArtifacts"] = {"S3ModelArtifacts": _artifact(request, name)}
    return described


def _training_failed(request: Document, name: str, reason: str) -> Document:
    arn = f"arn:aws:sagemaker:{REGION_ACCOUNT}:training-job/{name}"
    status = {"TrainingJobStatus": "Failed", "SecondaryStatus": "Failed", "FailureReason": reason}
    return {**request, "TrainingJobName": name, "TrainingJobArn": arn, **status}


def _failure_reason(folder: Path, outcome: Outcome) -> str:
    failure = folder / "output" / "failure"
    text = failure.read_text(encoding="utf-8", errors="replace")[:1_024] if failure.is_file() else "(no message)"
    return f"AlgorithmError: {text}, exit code: {outcome.exit_code}"
