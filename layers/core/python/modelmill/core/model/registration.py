"""The record of a model version: a verified package and how it came about in, what the registry keeps out."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from modelmill.core.model.package import Manifest

READY = "READY"
"""The status of a version that may get traffic."""
_SMALL = ("answers", "test_rows", "headline", "majority_baseline", "baseline", "warnings")
"""What is kept of metrics beside the scores. The rest grows with classes and slices, beyond what a DynamoDB item or a
workflow's state holds; the package has it."""


def version_record(
    run_id: str,
    manifest: Manifest,
    files: Mapping[str, bytes],
    packaged: Mapping[str, Any],
    leaderboard: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What is known of a version beside its number. `packaged` is the packaging job's `package.json`."""
    return {
        "status": READY,
        "candidate": manifest.candidate,
        "leaderboard": list(leaderboard),
        "metrics": kept_metrics(packaged["metrics"]),
        "champion": packaged.get("champion"),
        "optimise": packaged["optimise"],
        "parity": packaged["parity"],
        "dataset": manifest.dataset,
        "dataset_version": manifest.dataset_version,
        "run_id": run_id,
        "task": manifest.task,
        "signature": json.loads(files["signature.json"]),
        "labels": json.loads(files["labels.json"]),
        "size_bytes": sum(map(len, files.values())),
    }


def kept_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The scores with their intervals, the constant answer's and the warnings: a few kilobytes."""
    return {
        name: value
        for name, value in metrics.items()
        if name in _SMALL or (isinstance(value, dict) and value.keys() == {"value", "low", "high"})
    }
