"""Deploys a `cdk.out/` with plain CloudFormation calls: assets to S3, stacks in order of dependency, outputs out.

Reads what CDK's default synthesizer writes (`manifest.json`, `<Stack>.assets.json`, templates) and needs neither the
CDK CLI nor a bootstrap. A stack whose template did not change is left alone: asset keys in it are content hashes.
"""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from modelmill.aws.clients import client
from modelmill.local.connect import ACCOUNT, REGION
from modelmill.local.problems import LocalProblem

Say = Callable[[str], None]
_TIMEOUT_SECONDS = 300
_POLL_SECONDS = 0.1
_BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
_BROKEN = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED")


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack of the assembly."""

    name: str
    template: Path
    assets: Path

    @property
    def digest(self) -> str:
        """sha256 of the template."""
        return hashlib.sha256(self.template.read_bytes()).hexdigest()


def deploy(assembly: Path, stamps: Path, say: Say) -> tuple[dict[str, str], bool]:
    """All stacks' outputs and whether anything was changed; raises LocalProblem with the events that failed.

    `stamps` remembers the template of each stack that was deployed.
    """
    known = json.loads(stamps.read_text(encoding="utf-8")) if stamps.is_file() else {}
    outputs: dict[str, str] = {}
    changed = False
    for stack in stacks_of(assembly):
        present = _describe(stack.name)
        if present is None or known.get(stack.name) != stack.digest or not present["StackStatus"].endswith("_COMPLETE"):
            present = _deploy(stack, present, say)
            known[stack.name] = stack.digest
            stamps.write_text(json.dumps(known), encoding="utf-8")
            changed = True
        outputs |= {output["OutputKey"]: output["OutputValue"] for output in present.get("Outputs", [])}
    return outputs, changed


def stacks_of(assembly: Path) -> list[Stack]:
    """The stacks of an assembly, each after those that it depends on."""
    artifacts = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
    names = [name for name, artifact in artifacts.items() if artifact["type"] == "aws:cloudformation:stack"]
    ordered: list[str] = []

    def visit(name: str) -> None:
        for dependency in artifacts[name].get("dependencies", []):
            if dependency in names and dependency not in ordered:
                visit(dependency)
        if name not in ordered:
            ordered.append(name)

    for name in names:
        visit(name)
    return [
        Stack(
            name=artifacts[name]["properties"].get("stackName", name),
            template=assembly / artifacts[name]["properties"]["templateFile"],
            assets=assembly / f"{name}.assets.json",
        )
        for name in ordered
    ]


def _deploy(stack: Stack, present: dict[str, Any] | None, say: Say) -> dict[str, Any]:
    started = time.monotonic()
    template_url = _upload_assets(stack, say)
    client("ssm").put_parameter(Name=_BOOTSTRAP_PARAMETER, Value="30", Type="String", Overwrite=True)
    if present and present["StackStatus"] in _BROKEN:
        client("cloudformation").delete_stack(StackName=stack.name)
        _settled(stack.name)
        present = None
    say(f"{stack.name}: {'updating' if present else 'creating'}")
    arguments = {
        "StackName": stack.name,
        "TemplateURL": template_url,
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    }
    try:
        if present:
            client("cloudformation").update_stack(**arguments)
        else:
            client("cloudformation").create_stack(**arguments)
    except ClientError as error:
        if present and "No updates are to be performed" in str(error):
            return present
        raise LocalProblem("deploy_failed", f"{stack.name}: {error.response['Error']['Message']}") from error
    described = _settled(stack.name)
    if described is None or described["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise LocalProblem("deploy_failed", f"{stack.name} could not be deployed:\n{_failures(stack.name)}")
    say(f"{stack.name}: deployed in {time.monotonic() - started:.1f} s")
    return described


def _describe(name: str) -> dict[str, Any] | None:
    try:
        stacks = client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError:  # ValidationError: there is no such stack
        return None
    found: dict[str, Any] | None = next((s for s in stacks if s["StackStatus"] != "DELETE_COMPLETE"), None)
    return found


def _settled(name: str) -> dict[str, Any] | None:
    """The stack once nothing happens to it any more."""
    end = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < end:
        described = _describe(name)
        if described is None or not described["StackStatus"].endswith("_IN_PROGRESS"):
            return described
        time.sleep(_POLL_SECONDS)
    raise LocalProblem("deploy_failed", f"{name} did not settle within {_TIMEOUT_SECONDS} s:\n{_failures(name)}")


def _failures(name: str) -> str:
    events = client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    return "\n".join(
        f"  {event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', '')}"
        for event in reversed(failed)
    )


def _upload_assets(stack: Stack, say: Say) -> str:
    """Bring what is not in S3 yet; the URL of the template."""
    files = json.loads(stack.assets.read_text(encoding="utf-8"))["files"]
    url = ""
    missing = []
    for file in files.values():
        source = stack.assets.parent / file["source"]["path"]
        for bucket, key in _destinations(file):
            _ensure_bucket(bucket)
            if source == stack.template:
                url = f"{client('s3').meta.endpoint_url}/{bucket}/{key}"
            if not _exists(bucket, key):
                missing.append((source, file["source"].get("packaging"), bucket, key))
    if missing:
        say(f"{stack.name}: uploading {len(missing)} assets")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda asset: _upload(*asset), missing))
    return url


def _destinations(file: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for destination in file["destinations"].values():
        yield _concrete(destination["bucketName"]), _concrete(destination["objectKey"])


def _concrete(text: str) -> str:
    return text.replace("${AWS::AccountId}", ACCOUNT).replace("${AWS::Region}", REGION)


def _ensure_bucket(bucket: str) -> None:
    try:
        client("s3").head_bucket(Bucket=bucket)
    except ClientError:
        client("s3").create_bucket(Bucket=bucket)


def _exists(bucket: str, key: str) -> bool:
    try:
        client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError:
        return False
    return True


def _upload(source: Path, packaging: str | None, bucket: str, key: str) -> None:
    body = _zipped(source) if packaging == "zip" and source.is_dir() else source.read_bytes()
    client("s3").put_object(Bucket=bucket, Key=key, Body=body)


def _zipped(folder: Path) -> bytes:
    # Stored, not deflated: the zip goes to this machine's own disk and is unpacked at once.
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return buffer.getvalue()
