"""Observe in process: CloudWatch's metrics of routed models in, their traffic records out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from modelmill.aws.records import models
from modelmill.core.serve.route import Route
from tests.contract.world import event, load_function


def measure(version: str, metric: str, values: list[float], minutes_ago: int, tenant: str = "default") -> None:
    dimensions = [("tenant", tenant), ("model", "m"), ("version", version)]
    data = [
        {
            "MetricName": metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions],
            "Timestamp": datetime.now(UTC) - timedelta(minutes=minutes_ago),
            "Value": value,
        }
        for value in values
    ]
    boto3.client("cloudwatch").put_metric_data(Namespace="modelmill", MetricData=data)


def furnish(tenant: str = "default") -> None:
    for digest in ("d1", "d2", "d3"):
        models.register(tenant, "m", digest, {})
    models.set_route(tenant, "m", Route({"1": 1.0}), revision=0, who="test")
    models.set_route(tenant, "m", Route({"2": 1.0}, "3"), revision=1, who="test")


def run() -> dict[str, int]:
    answer: dict[str, int] = load_function("watch/observe").handler(event("watch/observe"), None)
    return answer


def traffic(tenant: str = "default") -> dict[str, Any]:
    found = models.get_traffic(tenant, "m")
    assert found is not None
    return found


def test_traffic_is_summed_over_the_versions_of_the_last_routes() -> None:
    furnish()
    measure("1", "Requests", [1, 1, 1], minutes_ago=300)
    measure("2", "Requests", [1, 1], minutes_ago=10)
    measure("2", "Predictions", [5, 7], minutes_ago=10)
    measure("3", "Predictions", [5], minutes_ago=10)
    measure("2", "ClientErrors", [1], minutes_ago=10)
    measure("2", "Requests", [1], minutes_ago=10, tenant="other")
    assert run() == {"models": 1}
    seen = traffic()
    assert seen["versions"] == ["1", "2", "3"]
    assert (seen["last_hour"]["requests"], seen["last_day"]["requests"]) == (2, 5)
    assert seen["last_hour"]["predictions"] == 17
    assert (seen["last_hour"]["errors"], seen["last_hour"]["client_errors"]) == (0, 1)


def test_a_model_without_traffic_is_all_zeros() -> None:
    furnish()
    run()
    none = {"requests": 0, "predictions": 0, "errors": 0, "client_errors": 0, "latency_ms": {"p50": None, "p95": None}}
    assert (traffic()["last_hour"], traffic()["last_day"]) == (none, none)


def test_models_of_all_tenants_are_observed_apart() -> None:
    for tenant, requests in (("a", [1.0]), ("b", [1.0, 1.0])):
        furnish(tenant)
        measure("2", "Requests", requests, minutes_ago=5, tenant=tenant)
    models.register("a", "never routed", "d", {})
    assert run() == {"models": 2}
    assert (traffic("a")["last_hour"]["requests"], traffic("b")["last_hour"]["requests"]) == (1, 2)


def test_nothing_routed_is_nothing_to_do() -> None:
    assert run() == {"models": 0}
