"""Warm calls in one process: function folder, package folder and rounds in, an event on stdin; times as JSON out.

It runs with a function's own path, under `python -S`. The handler's metric lines go to nowhere, as they would go to
a pipe on Lambda: what they cost is inside the handler's time.
"""

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path

task, package, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
sys.path.insert(0, task)
results = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

from modelmill.serving.features import Features  # noqa: E402
from modelmill.serving.model import session as open_session  # noqa: E402

handler = import_module("handler").handler
event = json.load(sys.stdin)
preprocess = json.loads((package / "preprocess.json").read_text())
instances = json.loads(event["body"])["instances"]
(column,) = preprocess["inputs"]
arrays = Features(preprocess).arrays({column: [instance[column] for instance in instances]})
session = open_session(package / "model.onnx")

times: dict[str, list[float]] = {"session": [], "handler": []}
for _ in range(rounds):
    started = time.perf_counter_ns()
    session.run(["probabilities"], arrays)
    between = time.perf_counter_ns()
    reply = handler(event, None)
    ended = time.perf_counter_ns()
    if reply["statusCode"] != 200:
        raise RuntimeError(reply["body"])
    times["session"].append((between - started) / 1_000)
    times["handler"].append((ended - between) / 1_000)
results.write(json.dumps(times))
results.close()
