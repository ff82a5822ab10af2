"""CloudWatch's reading of the Embedded Metric Format: one log line in, the metrics in it out.

The emulator keeps log lines but does not look into them. Source: "Specification: Embedded metric format".
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_VALUES = 100


@dataclass(frozen=True, slots=True)
class Datum:
    """One measured value under one set of dimensions; `seconds` since the epoch."""

    namespace: str
    name: str
    dimensions: dict[str, str]
    seconds: float
    unit: str
    values: tuple[float, ...]


def metrics_in(line: str) -> Iterator[Datum]:
    """The metrics of a log line; none if it is not EMF or not valid EMF (CloudWatch keeps it as a log line only)."""
    start = line.find("{")
    if start < 0 or '"_aws"' not in line:
        return
    try:
        document = json.loads(line[start:])
        head = document["_aws"]
        for directive in head["CloudWatchMetrics"]:
            for dimensions in directive.get("Dimensions") or [[]]:
                yield from _data(document, directive, dimensions, float(head["Timestamp"]) / 1_000)
    except (ValueError, KeyError, TypeError, AttributeError):
        return


def _data(
    document: dict[str, Any], directive: dict[str, Any], dimensions: list[str], seconds: float
) -> Iterator[Datum]:
    named = {name: str(document[name]) for name in dimensions}
    if not "".join(named.values()).isascii():
        return  # CloudWatch takes no other dimensions
    for metric in directive["Metrics"]:
        found = document[metric["Name"]]
        values = tuple(float(value) for value in (found if isinstance(found, list) else [found]))
        if not values or len(values) > MAX_VALUES or not all(map(math.isfinite, values)):
            continue
        yield Datum(directive["Namespace"], metric["Name"], named, seconds, metric.get("Unit", "None"), values)
