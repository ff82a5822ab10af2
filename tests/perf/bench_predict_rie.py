"""predict under the Runtime Interface Emulator: the cold start against the bare floor, the warm call beyond the model.

The floor is a fresh interpreter with the same layer that imports onnxruntime, makes a session of the same model and
runs it once. Nothing that serves the model with onnxruntime from Python can start faster.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.functions.rie import world
from tests.functions.rie.life import SAMPLE, Life, Run, event
from tests.functions.rie.runtime import environment
from tests.perf.timing import head, interleaved, milliseconds, row, spread

COLD_ROUNDS = 9
WARM_ROUNDS = 1_000
FLOOR = Path(__file__).with_name("floor.py")
WARM = Path(__file__).with_name("warm.py")
SECONDS = 300


def tables() -> Iterator[str]:
    """A table of cold starts and one of warm calls, both on the model of the bundled reviews."""
    with tempfile.TemporaryDirectory() as made, world.running(Path(made)) as aws, Life(aws, Path(made)) as life:
        run = _deployed(life)
        package = _downloaded(aws, run["register"]["digest"], Path(made) / "package")
        yield from _cold(life, package)
        yield from _warm(life, package)


def _deployed(life: Life) -> Run:
    run = life.stage("data/preprocess", life.ingest(life.upload(SAMPLE.read_bytes())))
    run = life.stage("model/select", life.train(run, 1))
    return life.stage("serve/deploy", life.stage("model/register", life.package(run)))


def _downloaded(aws: world.World, digest: str, folder: Path) -> Path:
    prefix = f"default/packages/{digest}/"
    folder.mkdir()
    for name in aws.keys(world.MODELS, prefix):
        (folder / name).write_bytes(aws.get(world.MODELS, prefix + name))
    return folder


def _cold(life: Life, package: Path) -> Iterator[str]:
    floors, starts = interleaved([lambda: _floor(life, package), lambda: _first_answer(life)], COLD_ROUNDS)
    size = (package / "model.onnx").stat().st_size
    yield head(f"cold start, ms, median (min) of {COLD_ROUNDS}, interleaved; model.onnx {size / 1024:.0f} KiB", "ms")
    yield row("floor: interpreter, `import onnxruntime`, session, one run", spread(floors))
    yield row("predict: interpreter, runtime client, handler, route, verified package, session, answer", spread(starts))
    yield row("predict / floor, of the medians", f"{statistics.median(starts) / statistics.median(floors):.2f}")


def _floor(life: Life, package: Path) -> float:
    function = life.unpacked("serve/predict")
    command = [sys.executable, "-S", str(FLOOR), str(package / "model.onnx")]
    env = environment(function, life.aws.variables(function.name))
    return milliseconds(lambda: subprocess.run(command, env=env, check=True, timeout=SECONDS, capture_output=True))


def _first_answer(life: Life) -> float:
    # The emulator starts the runtime at the first event, so the first call is the cold start.
    with life.emulated("serve/predict") as function:
        return milliseconds(lambda: _checked(function.invoke(event("serve/predict"))))


def _checked(reply: dict[str, Any]) -> None:
    if reply["statusCode"] != 200:
        raise RuntimeError(reply["body"])


def _warm(life: Life, package: Path) -> Iterator[str]:
    measured = _in_process(life, package)
    beyond = statistics.median(measured["handler"]) - statistics.median(measured["session"])
    over_http = _over_http(life)
    yield head(f"warm call, median (min) of {WARM_ROUNDS}, interleaved in one process", "µs")
    yield row("`session.run` alone, on the same instances", spread(measured["session"], 1))
    yield row("handler: event in, response out", spread(measured["handler"], 1))
    yield row("beyond `session.run`, of the medians", f"{beyond:.1f}")
    yield row(f"through the emulator's HTTP, median (min) of {len(over_http)}", spread(over_http))


def _in_process(life: Life, package: Path) -> dict[str, list[float]]:
    function = life.unpacked("serve/predict")
    done = subprocess.run(
        [sys.executable, "-S", str(WARM), str(function.task), str(package), str(WARM_ROUNDS)],
        input=json.dumps(event("serve/predict")),
        env=environment(function, life.aws.variables(function.name)),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    times: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return times


def _over_http(life: Life) -> list[float]:
    function = life.start("serve/predict")
    _checked(function.invoke(event("serve/predict")))
    return [milliseconds(lambda: function.invoke(event("serve/predict"))) * 1_000 for _ in range(WARM_ROUNDS)]
