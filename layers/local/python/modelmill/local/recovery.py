"""What happens after a crash: a state folder in, a usable one out, and a line for all that was lost or mended."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from modelmill.aws import objects
from modelmill.aws.clients import client
from modelmill.aws.records import datasets, models, pipelines
from modelmill.core.data.version import DatasetVersion
from modelmill.core.model.package import MANIFEST
from modelmill.core.names import package_prefix
from modelmill.local.launcher import MARKER

_KEPT_STATE = ("dynamodb.json", "s3.json")


def prepare(home: Path) -> list[str]:
    """Before the emulator starts: set torn state aside. Says what is known to be lost."""
    if not (home / MARKER).exists():
        return []
    state = home / "state"
    files = sorted(state.glob("*.json"))
    saved = max((file.stat().st_mtime for file in files), default=None)
    when = "nothing was saved yet" if saved is None else f"records are those of {_time(saved)}"
    said = [f"the local cloud was not stopped cleanly: {when}; objects in S3 are as they were"]
    torn = [file.name for file in files if not _readable(file)]
    if torn:
        aside = set_aside(home, torn)
        said.append(
            f"torn state files ({', '.join(torn)}) were moved to {aside}; what they described is deployed again"
        )
        if "dynamodb.json" in torn:
            said.append("the records of runs, routes and other keys are lost; data sets and models come back from S3")
    return said


def set_aside(home: Path, torn: list[str]) -> Path:
    """Move the deployed resources' state away, so that they are made anew; keep the records if they are readable."""
    aside = Path(tempfile.mkdtemp(prefix=time.strftime("state-%Y%m%dT%H%M%S-"), dir=home))
    for file in (home / "state").iterdir():
        if file.name not in _KEPT_STATE or file.name in torn:
            file.rename(aside / file.name)
    (home / "deployed.json").unlink(missing_ok=True)
    return aside


def move_port(home: Path, old: int, new: int) -> None:
    """Rewrite the state for another port: the URLs of queues, by which they are stored, hold it."""
    for file in (home / "state").glob("*.json"):
        before = file.read_bytes()
        after = before
        for host in ("localhost", "127.0.0.1"):
            after = after.replace(f"//{host}:{old}".encode(), f"//{host}:{new}".encode())
        if after != before:
            draft = file.with_suffix(".moved")
            draft.write_bytes(after)
            draft.replace(file)


def _readable(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except ValueError:
        return False
    return True


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def records(table: str) -> list[dict[str, Any]]:
    """All items of a table, or none if there is no such table."""
    try:
        return list(_items(table))
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return []
        raise


def move_in(old: Mapping[str, Any], new: Mapping[str, Any], items: list[dict[str, Any]]) -> list[str]:
    """After everything was deployed anew: bring the `items` and the objects of the resources that were there before.

    Not the uploads: each of them would start a pipeline.
    """
    said = []
    for name in ("data_bucket", "models_bucket"):
        if old.get(name, new[name]) != new[name] and _bucket_exists(old[name]):
            for key in objects.keys(old[name], ""):
                objects.copy((old[name], key), (new[name], key))
            said.append(f"objects of {old[name]} were copied to {new[name]}")
    for item in items:
        client("dynamodb").put_item(TableName=new["table"], Item=item)
    if items:
        said.append(f"{len(items)} records were kept")
    return said


def _bucket_exists(bucket: str) -> bool:
    try:
        client("s3").head_bucket(Bucket=bucket)
    except ClientError:
        return False
    return True


def _items(table: str) -> Iterator[dict[str, Any]]:
    for page in client("dynamodb").get_paginator("scan").paginate(TableName=table):
        yield from page["Items"]


def repair(cloud: Mapping[str, Any]) -> list[str]:
    """After a crash: register again what S3 holds and the records lost."""
    return [*_restore_datasets(cloud), *_restore_models(cloud)]


def close_interrupted(cloud: Mapping[str, Any]) -> list[str]:
    """After any start: close the runs that nobody runs any more."""
    reason = {
        "code": "interrupted",
        "message": "the local cloud was stopped while this run was under way",
        "hint": "push the file again: equal content gives the same dataset version and model",
    }
    said = []
    for item in _items(cloud["table"]):
        if item.get("run_status", {}).get("S") != "RUNNING":
            continue
        tenant, run = item["pk"]["S"].removesuffix("#pipelines"), item["sk"]["S"]
        if not _executes(cloud, run) and pipelines.finish(tenant, run, "FAILED", {"reason": reason}):
            said.append(f"run {run} was interrupted and is closed as FAILED")
    return said


def _executes(cloud: Mapping[str, Any], run: str) -> bool:
    arn = cloud["state_machine_arn"].replace(":stateMachine:", ":execution:") + f":{run}"
    try:
        status = client("stepfunctions").describe_execution(executionArn=arn)["status"]
    except ClientError:  # ExecutionDoesNotExist
        return False
    return bool(status == "RUNNING")


def _restore_datasets(cloud: Mapping[str, Any]) -> list[str]:
    said = []
    for key in objects.keys(cloud["data_bucket"], ""):
        parts = key.split("/")
        if len(parts) == 5 and parts[1] == "datasets" and parts[4] == "version.json":
            tenant, _, dataset, version, _ = parts
            if datasets.get_version(tenant, dataset, version) is None:
                stored = DatasetVersion.model_validate_json(objects.get(cloud["data_bucket"], key))
                datasets.add_version(tenant, stored)
                said.append(f"dataset {dataset} version {version} was registered again")
    return said


def _restore_models(cloud: Mapping[str, Any]) -> list[str]:
    """Packages whose registration was lost. Run ids begin with their time, so versions are counted as before."""
    said = []
    bucket = cloud["models_bucket"]
    for key in sorted(objects.keys(bucket, "")):
        parts = key.split("/")
        if len(parts) == 4 and parts[1] == "runs" and parts[3] == "package.json":
            tenant, run = parts[0], parts[2]
            spec = json.loads(objects.get(bucket, f"{tenant}/runs/{run}/spec.json"))
            digest = json.loads(objects.get(bucket, key))["digest"]
            # A model that was deleted has left its runs behind, but no package.
            package = objects.find(bucket, package_prefix(tenant, digest) + MANIFEST)
            if package and all(version["digest"] != digest for version in models.versions(tenant, spec["model"])):
                said.append(_register_again(spec))
    return said


def _register_again(spec: dict[str, Any]) -> str:
    """Run the workflow's own last stages once more: they read everything else from S3."""
    state = {key: spec[key] for key in ("run_id", "tenant", "dataset")}
    candidates = [one["name"] for one in spec["candidates"]]
    state["preprocess"] = {"model": spec["model"], "candidates": candidates, "compute": spec["recipe"]["compute"]}
    state["train"] = [{"candidate": name} for name in candidates]
    functions = [one["FunctionName"] for one in client("lambda").list_functions()["Functions"]]
    for stage in ("select", "register", "deploy"):
        name = next(name for name in functions if stage in name.lower())
        reply = client("lambda").invoke(FunctionName=name, Payload=json.dumps(state).encode())
        result = json.loads(reply["Payload"].read())
        if "FunctionError" in reply:
            return f"model {spec['model']} of run {spec['run_id']} could not be registered again: {result}"
        state[stage] = result
    return f"model {spec['model']} version {state['register']['version']} was registered again"
