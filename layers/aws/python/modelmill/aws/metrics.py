"""CloudWatch metrics: names and dimensions in, statistics over a window out."""

from datetime import UTC, datetime, timedelta

from modelmill.aws.clients import client
from modelmill.core.watch.emf import NAMESPACE


def statistics(
    queries: dict[str, tuple[str, dict[str, str], str]], window: timedelta, end: datetime | None = None
) -> dict[str, float | None]:
    """For each id: (metric, dimensions, statistic such as Sum or p95) over the window as one number, None without data."""
    end = end or datetime.now(UTC)
    result = client("cloudwatch").get_metric_data(
        StartTime=end - window,
        EndTime=end,
        MetricDataQueries=[
            {
                "Id": query_id,
                "MetricStat": {
                    "Metric": {
                        "Namespace": NAMESPACE,
                        "MetricName": metric,
                        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
                    },
                    "Period": int(window.total_seconds()),
                    "Stat": stat,
                },
            }
            for query_id, (metric, dimensions, stat) in queries.items()
        ],
    )
    found = {series["Id"]: series["Values"] for series in result["MetricDataResults"]}
    return {query_id: _combined(found.get(query_id, []), stat) for query_id, (_, _, stat) in queries.items()}


def _combined(values: list[float], stat: str) -> float | None:
    """A window can straddle two periods: sums add up, percentiles take the worse."""
    if not values:
        return None
    return sum(values) if stat in ("Sum", "SampleCount") else max(values)
