"""The steps after the first: a run and the number of a part or bucket in, what came of it in the relay; answers out."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelmill.aws.records.mask_key import pseudonyms
from modelmill.frames import sharded
from modelmill.frames.describe import Run
from modelmill.frames.work import take_parts, take_work
from preparing.store import relay_of, store


def _scan(run: Run, index: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sharded.scan_one(relay_of(run), index, Path(folder))


def _transform(run: Run, index: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        transformed = sharded.transform_one(relay_of(run), index, pseudonyms(run.tenant), Path(folder))
        if transformed is not None:
            sharded.leave_examples(relay_of(run), index, transformed[0])


def _write(run: Run, index: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sharded.write_one(relay_of(run), index, Path(folder))


def _decide(run: Run) -> dict[str, Any]:
    return _more(run, sharded.decide_all(relay_of(run)))


def _settle(run: Run) -> dict[str, Any]:
    return _more(run, sharded.settle_all(relay_of(run)))


def _more(run: Run, buckets: int) -> dict[str, Any]:
    relay = relay_of(run)
    parts = len(take_parts(relay, take_work(relay).files))
    return {"status": "map", "parts": parts, "buckets": buckets}


def _finish(run: Run) -> dict[str, Any]:
    relay = relay_of(run)
    work = take_work(relay)
    with tempfile.TemporaryDirectory() as folder:
        target, between = Path(folder, "version"), Path(folder, "between")
        target.mkdir()
        between.mkdir()
        prepared = sharded.finish_all(relay, pseudonyms(run.tenant), between, target)
        run = replace(run, sources=work.sources)
        return store(prepared, work.recipe, run, target, relay.prefix + sharded.ROWS)


EACH: dict[str, Callable[[Run, int], None]] = {"scan": _scan, "transform": _transform, "write": _write}
"""Steps of one part or bucket."""
ALL: dict[str, Callable[[Run], dict[str, Any]]] = {"decide": _decide, "settle": _settle, "finish": _finish}
"""Steps between them, over all."""


def progress(step: str, answer: dict[str, Any]) -> dict[str, Any]:
    """What is said of the stage after a step: how far it is, and one line for people."""
    if answer["status"] == "spark":
        return {"message": "prepared by Spark"}
    parts, buckets = answer["parts"], answer.get("buckets")
    said = {
        "start": (0.0, f"{parts:,} parts to read"),
        "decide": (0.4, f"{parts:,} parts read; their rows go into {buckets:,} buckets" if buckets else ""),
        "settle": (0.8, f"{parts:,} parts prepared; rows of {buckets:,} buckets are split" if buckets else ""),
    }
    fraction, message = said[step]
    return {"fraction": fraction, "message": message}
