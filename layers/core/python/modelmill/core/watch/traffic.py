"""The traffic of a model: measured values of its versions in, one summary for its record out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Value = float | None
MEASURES: tuple[tuple[str, str], ...] = (
    ("Requests", "Sum"),
    ("Predictions", "Sum"),
    ("Errors", "Sum"),
    ("ClientErrors", "Sum"),
    ("Latency", "p50"),
    ("Latency", "p95"),
)
"""(metric, statistic) pairs that are asked for, per version; `predict` writes the metrics."""


def versions_in(route: Mapping[str, Any] | None, history: Iterable[Mapping[str, Any]]) -> list[str]:
    """Versions that can have had traffic lately: those of the route and of its latest moves, in order of number."""
    routes = [route] if route else []
    routes += [move["route"] for move in history]
    named = {version for each in routes for version in each["weights"]}
    named |= {each["shadow"] for each in routes if each.get("shadow")}
    return sorted(named, key=int)


def summary(rows: Sequence[Sequence[Value]]) -> dict[str, Any]:
    """One window of one model, from a row of MEASURES per version.

    Counts add up. Percentiles do not: `latency_ms` has those of the slowest version, None without traffic.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(MEASURES)
    sums = [int(sum(value or 0 for value in column)) for column in columns[:4]]
    slowest = [max((value for value in column if value is not None), default=None) for column in columns[4:]]
    return {
        "requests": sums[0],
        "predictions": sums[1],
        "errors": sums[2],
        "client_errors": sums[3],
        "latency_ms": {"p50": slowest[0], "p95": slowest[1]},
    }
