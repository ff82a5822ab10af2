"""`python -m tests.sam`: each function in a container by `sam local invoke`, then the API by `sam local start-api`.

Needs Docker and the `sam` command. One run of the life cycle is made first, in an emulator that listens on Docker's
bridge alone, so that the containers find real uploads, packages and keys there. Ends with 1 if an answer is not right.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.functions.rie import world
from tests.functions.rie.life import SAMPLE, Life, Run, event
from tests.functions.rie.runtime import free_ports, kill_tree, wait_for_port
from tests.sam.templates import VALUES, Place, fill, synthesise

IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"
SECONDS = 300
KEY = "mm_sam-local"
Check = Callable[[Any], object]


def main() -> int:
    """Run everything and print one line for each answer."""
    missing = [command for command in ("docker", "sam") if shutil.which(command) is None]
    if missing:
        sys.stderr.write(f"`make sam` needs the command {missing[0]!r}: see docs/07-testing.md\n")
        return 1
    places = synthesise()
    with ExitStack() as stack:
        made = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        aws = stack.enter_context(world.running(made, _bridge()))
        life = stack.enter_context(Life(aws, made))
        fill(places, {name: aws.variables(name) for name in places})
        aws.put_record(f"key#{hashlib.sha256(KEY.encode()).hexdigest()}", "key", {"tenant": "default", "name": "sam"})
        results = [_invoke(name, places[name], *case) for name, case in _cases(life).items()]
        results += list(_api(places["serve/predict"]))
    return 0 if all(results) else 1


def _cases(life: Life) -> dict[str, tuple[Any, Check]]:
    """Each function's event, from a real run, and what makes its answer right."""
    batch = life.upload(b"".join(SAMPLE.read_bytes().splitlines(keepends=True)[:601]))
    ingested = life.ingest(batch)
    trained = life.train(life.stage("data/preprocess", ingested), 2)
    packaged = life.package(life.stage("model/select", trained))
    registered = life.stage("model/register", packaged)
    deployed: Run = life.stage("serve/deploy", registered)
    return {
        "data/ingest": (batch, lambda answer: answer == {"batchItemFailures": []}),
        "data/preprocess": (ingested, lambda answer: answer["status"] == "ok"),
        "model/select": (trained, lambda answer: answer == packaged["select"]),
        "model/register": (packaged, lambda answer: answer == registered["register"]),
        "serve/deploy": (registered, lambda answer: answer["route"] == deployed["deploy"]["route"]),
        "serve/predict": (event("serve/predict"), lambda answer: answer["statusCode"] == 200),
        "serve/control": (event("serve/control"), lambda answer: answer["statusCode"] == 200),
        "serve/authorise": (
            event("serve/authorise") | {"authorizationToken": f"Bearer {KEY}"},
            lambda answer: answer["context"]["tenant"] == "default",
        ),
        "watch/observe": (event("watch/observe"), lambda answer: answer == {"models": 1}),
        "watch/conclude": (deployed, lambda answer: answer["status"] == "SUCCEEDED"),
    }


def _invoke(name: str, place: Place, payload: Any, check: Check) -> bool:
    command = _sam("invoke", place.template, place.logical_id, "--event", "-")
    started = time.monotonic()
    done = subprocess.run(
        command, input=json.dumps(payload), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    answer = done.stdout.strip().splitlines()[-1:] or [""]
    right = done.returncode == 0 and bool(_checked(check, answer[0]))
    return _say(f"sam local invoke {name}", right, time.monotonic() - started, answer[0] or done.stderr[-2_000:])


def _checked(check: Check, answer: str) -> object:
    try:
        return check(json.loads(answer))
    except (KeyError, TypeError, ValueError):
        return False


def _api(place: Place) -> Iterator[bool]:
    predict = event("serve/predict")["body"].encode()
    with _started_api(place) as url:
        for method, path, key, body, expected in (
            ("GET", "/v2/health/live", None, None, 200),
            ("GET", "/v1/models", None, None, 401),
            ("GET", "/v1/models", KEY, None, 200),
            ("POST", "/v1/models/reviews/predict", KEY, predict, 200),
            ("POST", "/v1/models/reviews/predict", KEY, b"{}", 400),
        ):
            started = time.monotonic()
            status, answer = _request(method, url + path, key, body)
            yield _say(f"{method} {path} -> {status}", status == expected, time.monotonic() - started, answer)


@contextmanager
def _started_api(place: Place) -> Iterator[str]:
    (port,) = free_ports(1)
    command = [*_sam("start-api", place.template), "--port", str(port), "--warm-containers", "LAZY"]
    with (VALUES.parent / "start-api.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for_port(port, process, seconds=SECONDS)
        yield f"http://127.0.0.1:{port}"
    finally:
        # An interrupt lets it remove its containers.
        subprocess.run(["kill", "-INT", str(process.pid)], check=False)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            kill_tree(process)


def _request(method: str, url: str, key: str | None, body: bytes | None) -> tuple[int, str]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    reply = httpx.request(method, url, headers=headers, content=body, timeout=SECONDS)
    return reply.status_code, reply.text


def _sam(verb: str, template: Path, *arguments: str) -> list[str]:
    known = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode == 0
    pull = ["--skip-pull-image"] if known else []
    common = ["--template", str(template), "--env-vars", str(VALUES), "--region", world.REGION]
    return ["sam", "local", verb, *arguments, *common, *pull]


def _bridge() -> str:
    """The address of this machine on Docker's default network."""
    command = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def _say(what: str, right: bool, seconds: float, answer: str) -> bool:
    sys.stdout.write(f"{'ok   ' if right else 'WRONG'} {seconds:5.1f} s  {what}\n             {answer[:160].strip()}\n")
    sys.stdout.flush()
    return right


sys.exit(main())
