"""CloudWatch metrics: names and dimensions in, statistics over a window out."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from modelmill.aws.clients import client
from modelmill.core.watch.emf import NAMESPACE, dimension_value

QUERIES_PER_CALL = 500
"""Amazon CloudWatch, "GetMetricData": at most 500 queries in a call."""


class Query(NamedTuple):
    """One number that is wanted: a metric, its exact dimensions, and a statistic such as `Sum` or `p95`."""

    metric: str
    dimensions: dict[str, str]
    stat: str


def statistics(queries: Sequence[Query], window: timedelta, end: datetime | None = None) -> list[float | None]:
    """For each query, in order, its statistic over the `window` before `end` (now), None where nothing was measured."""
    end = end or datetime.now(UTC)
    values: list[float | None] = []
    for start in range(0, len(queries), QUERIES_PER_CALL):
        batch = queries[start : start + QUERIES_PER_CALL]
        found: dict[str, list[float]] = {}
        for series in _series(batch, window, end):
            found.setdefault(series["Id"], []).extend(series["Values"])
        values += [_combined(found.get(f"q{index}", []), query.stat) for index, query in enumerate(batch)]
    return values


def _series(batch: Sequence[Query], window: timedelta, end: datetime) -> Iterator[dict[str, Any]]:
    wanted = [
        {
            "Id": f"q{index}",
            "MetricStat": {
                "Metric": {
                    "Namespace": NAMESPACE,
                    "MetricName": query.metric,
                    "Dimensions": [
                        {"Name": name, "Value": dimension_value(value)} for name, value in query.dimensions.items()
                    ],
                },
                "Period": int(window.total_seconds()),
                "Stat": query.stat,
            },
        }
        for index, query in enumerate(batch)
    ]
    arguments: dict[str, Any] = {"StartTime": end - window, "EndTime": end, "MetricDataQueries": wanted}
    while True:
        page = client("cloudwatch").get_metric_data(**arguments)
        yield from page["MetricDataResults"]
        if not page.get("NextToken"):
            return
        arguments["NextToken"] = page["NextToken"]


def _combined(values: list[float], stat: str) -> float | None:
    """A window can straddle two periods: sums add up, percentiles take the worse."""
    if not values:
        return None
    return sum(values) if stat in ("Sum", "SampleCount") else max(values)
