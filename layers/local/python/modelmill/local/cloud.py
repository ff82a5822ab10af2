"""up, down, status: a checkout in, a running and deployed local cloud out, described in `cloud.json`."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelmill.aws.records import keys
from modelmill.client.home import home as default_home
from modelmill.client.home import read_cloud
from modelmill.client.home import repository as find_repository
from modelmill.core.names import DEFAULT_TENANT
from modelmill.local import process, recovery
from modelmill.local.connect import ACCOUNT, CREDENTIALS, REGION, connected
from modelmill.local.deploy import deploy
from modelmill.local.launcher import MARKER
from modelmill.local.problems import LocalProblem
from modelmill.local.synth import synthesised

Say = Callable[[str], None]
Cloud = dict[str, Any]
_CRASHED = "crashed"
_OUTPUTS = {
    "uploads_bucket": "UploadsBucket",
    "data_bucket": "DataBucket",
    "models_bucket": "ModelsBucket",
    "table": "TableName",
    "state_machine_arn": "StateMachineArn",
}


def up(say: Say, home: Path | None = None, assembly: Path | None = None) -> Cloud:
    """Start what does not run, deploy what changed, and return the cloud as `status` shows it.

    `assembly` is a ready `cdk.out`; by default it is made from the checkout. Raises LocalProblem.
    """
    home = home or default_home()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _lock(home):
        before = read_cloud(home) or {}
        with ThreadPoolExecutor(1) as pool:
            templates = pool.submit(_assembly, home, assembly)
            if not process.running(home, before.get("port")):
                before["port"] = _start(say, home, before.get("port"))
                _write(home, before)  # whatever happens next, `down` finds it
            return _deployed(say, home, templates.result(), before)


def _start(say: Say, home: Path, port: int | None) -> int:
    process.stop_unresponsive(home)
    if (home / MARKER).exists():
        (home / _CRASHED).touch()  # until everything is repaired
    for line in recovery.prepare(home):
        say(line)
    free = process.free_port(port)
    if port is not None and free != port:
        say(f"port {port} is taken by another program: the local cloud moves to {free}")
        recovery.move_port(home, port, free)
    say("starting the local cloud")
    process.start(home, free)
    return free


def _assembly(home: Path, assembly: Path | None) -> Path:
    if assembly is not None:
        return assembly
    repository = find_repository()
    if repository is None:
        raise LocalProblem("no_checkout", "the local cloud is deployed from a checkout, and there is none here")
    return synthesised(repository, home)


def _deployed(say: Say, home: Path, assembly: Path, before: Cloud) -> Cloud:
    endpoint, stamps = f"http://127.0.0.1:{before['port']}", home / "deployed.json"
    crashed = (home / _CRASHED).exists()
    try:
        with connected({"s3_endpoint": endpoint}):
            # A table that is made anew is empty, even under its old name.
            kept = recovery.records(before["table"]) if crashed and "table" in before and not stamps.exists() else []
            outputs, changed = deploy(assembly, stamps, say)
        cloud = _described(endpoint, before["port"], outputs)
        with connected(cloud):
            said = recovery.move_in(before, cloud, kept) if crashed else []
            cloud["token"], new_key = _key(before.get("token"), say)
            said += recovery.close_interrupted(cloud) + (recovery.repair(cloud) if crashed else [])
    except LocalProblem:
        process.save_all(before["port"])  # what was deployed so far
        raise
    for line in said:
        say(line)
    if before != cloud:
        _write(home, cloud)
    if changed or new_key or said:
        process.save_all(cloud["port"])
    (home / _CRASHED).unlink(missing_ok=True)
    return {"running": True, **cloud}


def _described(endpoint: str, port: int, outputs: Mapping[str, str]) -> Cloud:
    return {
        "port": port,
        "s3_endpoint": endpoint,
        "url": f"{endpoint}/_aws/execute-api/{outputs['ApiId']}/api",
        **{name: outputs[output] for name, output in _OUTPUTS.items()},
        "tenant": DEFAULT_TENANT,
        "region": REGION,
        "account": ACCOUNT,
        "credentials": CREDENTIALS,
    }


def _key(token: str | None, say: Say) -> tuple[str, bool]:
    """The tenant's API key, kept as long as there is a record of it or it can be written again."""
    if token is None:
        return keys.create(DEFAULT_TENANT, "local"), True
    if keys.find(token) is None:
        keys.restore(token, DEFAULT_TENANT, "local")
        say("the record of the API key was lost and is written again; the key is the same")
        return token, True
    return token, False


def down(say: Say, home: Path | None = None) -> bool:
    """Stop the local cloud, keeping its state; False if it was not running."""
    home = home or default_home()
    if not home.is_dir():
        return False
    with _lock(home):
        port = (read_cloud(home) or {}).get("port")
        if port is None or not process.running(home, port):
            process.stop_unresponsive(home)
            return False
        if not process.stop(home, port):
            say("the local cloud had to be killed: what changed in its last seconds may be lost")
        return True


def status(home: Path | None = None) -> Cloud:
    """`{"running": false}`, or the running cloud with `url`, `token`, `s3_endpoint` and the names of its resources."""
    home = home or default_home()
    cloud = read_cloud(home)
    if cloud is None or "url" not in cloud or not process.running(home, cloud.get("port")):
        return {"running": False}
    return {"running": True, **cloud}


def create_key(cloud: Mapping[str, Any], tenant: str, name: str) -> str:
    """Another API key, for any tenant of a running cloud."""
    with connected(cloud):
        return keys.create(tenant, name)


@contextmanager
def _lock(home: Path) -> Iterator[None]:
    """One `up` or `down` at a time."""
    with (home / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(home: Path, cloud: Cloud) -> None:
    """Atomically, readable by the owner alone: it holds the key."""
    draft = home / "cloud.json.new"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(cloud, file, indent=2)
    draft.replace(home / "cloud.json")
