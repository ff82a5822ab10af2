"""Observe: on a schedule, the CloudWatch metrics of every routed model in, the traffic in its record out."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools import Logger

from modelmill.aws import metrics
from modelmill.aws.records import models
from modelmill.core.watch.traffic import MEASURES, summary, versions_in

logger = Logger(service="observe")
WINDOWS = {"last_hour": timedelta(hours=1), "last_day": timedelta(days=1)}
RECENT_MOVES = 10
"""Moves of a route whose versions are still asked for: each costs some metrics an hour."""


def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    """`{"models"}`: how many models were observed, of all tenants."""
    watched = {(tenant, model): _versions(tenant, model) for tenant, model in models.routed()}
    now = datetime.now(UTC)
    traffic: dict[tuple[str, str], dict[str, Any]] = {key: {"versions": found} for key, found in watched.items()}
    for name, window in WINDOWS.items():
        values = iter(metrics.statistics(_queries(watched), window, now))
        for key, versions in watched.items():
            traffic[key][name] = summary([[next(values) for _ in MEASURES] for _ in versions])
    for (tenant, model), body in traffic.items():
        models.put_traffic(tenant, model, body)
    logger.info("observed", extra={"models": len(watched)})
    return {"models": len(watched)}


def _versions(tenant: str, model: str) -> list[str]:
    found = models.get(tenant, model) or {}
    return versions_in(found.get("route"), models.route_history(tenant, model, RECENT_MOVES))


def _queries(watched: dict[tuple[str, str], list[str]]) -> list[metrics.Query]:
    return [
        metrics.Query(metric, {"tenant": tenant, "model": model, "version": version}, stat)
        for (tenant, model), versions in watched.items()
        for version in versions
        for metric, stat in MEASURES
    ]
