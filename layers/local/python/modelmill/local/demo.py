"""`modelmill demo`: the whole life cycle on the two bundled data sets, from nothing to answers over HTTP.

Two files go in at once; progress of both pipelines is shown; out come metrics with 95 % intervals, the models' digests,
a `curl` line for each model with its real answer, and what `observe` counted.
"""

import csv
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console

from modelmill.aws.clients import client
from modelmill.client.api import Modelmill
from modelmill.client.home import home, repository
from modelmill.client.types import Run
from modelmill.local import cloud as local_cloud
from modelmill.local.board import Board
from modelmill.local.connect import connected
from modelmill.local.problems import LocalProblem

Document = dict[str, Any]
SAMPLES = ("reviews", "adult")
_FOLDER = Path("events/data/samples")
_SCHEDULE = Path("events/watch/observe.json")


def run(console: Console) -> Document:
    """Do it; what happened, as one document. Progress goes to `console`."""
    started = time.monotonic()
    root = repository()
    if root is None:
        raise LocalProblem("no_checkout", "the demo's data sets are in the checkout, and there is none here")
    cloud = local_cloud.up(console.print)
    up_seconds = time.monotonic() - started
    with Board(console, SAMPLES) as board, ThreadPoolExecutor(len(SAMPLES)) as pool:
        waiting = [pool.submit(_pipeline, cloud, name, root / _FOLDER / f"{name}.csv", board) for name in SAMPLES]
        runs = [one.result() for one in waiting]
    models = [_model(cloud, name, root, one) for name, one in zip(SAMPLES, runs, strict=True)]
    succeeded = all(one.status == "SUCCEEDED" for one in runs)
    return {
        "status": "SUCCEEDED" if succeeded else "FAILED",
        "models": models,
        "observed": _observe(cloud, root) if succeeded else None,
        "up_seconds": round(up_seconds, 1),
        "seconds": round(time.monotonic() - started, 1),
    }


def _pipeline(cloud: Document, name: str, file: Path, board: Board) -> Run:
    with Modelmill(cloud["url"], cloud["token"]) as mill:
        upload = mill.upload(name, file)
        return mill.wait(upload.key, seen=lambda seen: board.update(name, seen))


def _model(cloud: Document, name: str, root: Path, run: Run) -> Document:
    """The outcome of one pipeline: its summary and, if it succeeded, digest, curl line and the answer to it."""
    if run.status != "SUCCEEDED" or run.model is None:
        return run.summary()
    model, version = run.model["name"], run.model["version"]
    body = {"instances": [_first_row(root / _FOLDER / f"{name}.csv", run.target)]}
    url = f"{cloud['url']}/v1/models/{model}/predict"
    with Modelmill(cloud["url"], cloud["token"]) as mill:
        digest = mill.version(model, version)["digest"]
        answer = mill.predict(model, body["instances"])
    data = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
    curl = f"curl -s {url} -H 'Authorization: Bearer {cloud['token']}' -d '{data}'"
    same = _same_as_before(name, digest)
    return {**run.summary(), "digest": digest, "same_digest": same, "endpoint": url, "curl": curl, "answer": answer}


def _first_row(file: Path, target: str | None) -> Document:
    """The first row as a caller would send it: without the target, numbers as numbers."""
    with file.open(encoding="utf-8", newline="") as lines:
        row = next(csv.DictReader(lines, skipinitialspace=True))
    return {name: _number(cell) for name, cell in row.items() if name != target}


def _number(cell: str) -> str | float:
    try:
        return float(cell) if "." in cell else int(cell)
    except ValueError:
        return cell


def _same_as_before(name: str, digest: str) -> bool | None:
    """Whether the last demo gave the same digest; None if this is the first."""
    file = home() / "demo.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    before = known.get(name)
    file.write_text(json.dumps({**known, name: digest}), encoding="utf-8")
    return None if before is None else bool(before == digest)


def _observe(cloud: Document, root: Path) -> Document:
    """Run `observe` once, as its schedule does, and read what it counted."""
    event = (root / _SCHEDULE).read_bytes()
    with connected(cloud):
        functions = [one["FunctionName"] for one in client("lambda").list_functions()["Functions"]]
        name = next(name for name in functions if "observe" in name.lower())
        reply = client("lambda").invoke(FunctionName=name, Payload=event)
        if "FunctionError" in reply:
            raise LocalProblem("observe_failed", reply["Payload"].read().decode())
    with Modelmill(cloud["url"], cloud["token"]) as mill:
        return {name: (mill.model(name)["traffic"] or {}).get("last_hour") for name in SAMPLES}


def show(console: Console, body: Document) -> None:
    """The document for people."""
    for model in body["models"]:
        console.rule(f"[bold]{model['dataset']}")
        if model["status"] == "SUCCEEDED":
            _show_model(console, model)
        else:
            console.print(f"{model['status']}: {(model['reason'] or {}).get('message')}", markup=False)
    console.rule()
    for name, traffic in (body["observed"] or {}).items():
        if traffic:
            median = traffic["latency_ms"]["p50"]
            speed = "" if median is None else f", median {median:.1f} ms"
            console.print(
                f"observe counted for {name}: {traffic['predictions']:.0f} predictions in the last hour{speed}"
            )
    console.print(f"{body['seconds']} s in all, {body['up_seconds']} s of them to start and deploy")


def _show_model(console: Console, model: Document) -> None:
    metrics = model["model"]["metrics"]
    rows = model["rows"]
    console.print(f"{rows['read']:,} rows read, {rows['used']:,} used, {rows['quarantined']:,} quarantined")
    console.print(
        f"accuracy {_interval(metrics['accuracy'])} against {metrics['majority_baseline']:.4f} of always saying the "
        f"commonest class, macro F1 {_interval(metrics['macro_f1'])}, on {metrics['test_rows']:,} test rows"
    )
    same = {True: "  (same digest as before)", False: "  (not the digest of the last demo)", None: ""}
    console.print(
        f"model {model['model']['name']} version {model['model']['version']}, digest {model['digest']}", end=""
    )
    console.print(same[model["same_digest"]], style="green")
    console.print(f"endpoint {model['endpoint']}", markup=False)
    console.print(f"$ {model['curl']}", markup=False, style="bold")
    console.print(json.dumps(model["answer"], ensure_ascii=False), markup=False)


def _interval(metric: Document) -> str:
    return f"{metric['value']:.4f} (95 %: {metric['low']:.4f} to {metric['high']:.4f})"
