"""A job's parameters in (SageMaker's hyperparameters.json or the command line), its folders and S3 places out.

SageMaker calls the image with the argument `train` and mounts the `/opt/ml` folders; Batch passes a command line.
Source: "How Amazon SageMaker AI Runs Your Training Image", SageMaker developer guide.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from modelmill.core.errors import Rejected

Stage = Literal["train", "package"]
_STAGES = ("train", "package")


@dataclass(frozen=True, slots=True)
class Hosts:
    """The machines of one job: how many, which of them this is (the first has the rank 0), and where the first is."""

    count: int = 1
    index: int = 0
    first: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Job:
    """What to do (`stage`, for which `candidate`) in which run; `engine` says who started it."""

    stage: Stage
    bucket: str
    prefix: str
    candidate: str
    engine: Literal["sagemaker", "batch"]
    root: Path

    @property
    def candidate_prefix(self) -> str:
        """Key prefix in the models bucket of this candidate's results."""
        return f"{self.prefix}candidates/{self.candidate}/"

    @property
    def failure_key(self) -> str:
        """Where the cause of this job's failure is written."""
        return (self.candidate_prefix if self.stage == "train" else self.prefix) + "failure.json"

    @property
    def channel(self) -> Path:
        """The folder of the dataset version: mounted by SageMaker, downloaded elsewhere."""
        return self.root / "input/data/dataset"

    @property
    def checkpoint(self) -> Path:
        """The checkpoint file; SageMaker keeps its folder in S3."""
        return self.root / "checkpoints" / f"{self.candidate}.safetensors"

    @property
    def failure_file(self) -> Path:
        """The text that SageMaker shows as the job's FailureReason."""
        return self.root / "output/failure"


def ml_root() -> Path:
    """`/opt/ml`, or where MODELMILL_ML_ROOT says (the local cloud runs jobs as processes)."""
    return Path(os.environ.get("MODELMILL_ML_ROOT", "/opt/ml"))


def hosts_of(root: Path, environment: Mapping[str, str]) -> Hosts:
    """The machines that the engine started: SageMaker's resourceconfig.json, or the variables of a Batch node.

    The main node of Batch is not told its own address, and needs none: it is the one that listens.
    """
    file = root / "input/config/resourceconfig.json"
    if "AWS_BATCH_JOB_NUM_NODES" in environment:
        return Hosts(
            int(environment["AWS_BATCH_JOB_NUM_NODES"]),
            int(environment["AWS_BATCH_JOB_NODE_INDEX"]),
            environment.get("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS", "127.0.0.1"),
        )
    if file.exists():
        told = json.loads(file.read_bytes())
        hosts = sorted(told["hosts"])
        return Hosts(len(hosts), hosts.index(told["current_host"]), hosts[0])
    return Hosts()


def parse_job(arguments: Sequence[str]) -> Job:
    """The job that the command line describes, or else hyperparameters.json; raises Rejected (`bad_parameters`)."""
    parser = argparse.ArgumentParser(prog="modelmill.training", description="Run one job of a pipeline.")
    parser.add_argument("command", nargs="?", choices=["train"], help="what SageMaker passes; changes nothing")
    parser.add_argument("--stage", choices=_STAGES)
    parser.add_argument("--run", help="s3://MODELS/{tenant}/runs/{run_id}/")
    parser.add_argument("--candidate")
    given = vars(parser.parse_args(arguments))
    file = ml_root() / "input/config/hyperparameters.json"
    from_file = given["stage"] is None and file.exists()
    values = json.loads(file.read_bytes()) if from_file else given
    bucket, _, prefix = str(values.get("run") or "").removeprefix("s3://").partition("/")
    if values.get("stage") not in _STAGES or not bucket or not prefix or not values.get("candidate"):
        raise Rejected(
            "bad_parameters",
            "a job needs the parameters stage, run and candidate",
            hint="stage is train or package, run is s3://BUCKET/TENANT/runs/RUN/",
        )
    return Job(
        stage=cast(Stage, values["stage"]),
        bucket=bucket,
        prefix=prefix.rstrip("/") + "/",
        candidate=str(values["candidate"]),
        engine="sagemaker" if from_file else "batch",
        root=ml_root(),
    )
