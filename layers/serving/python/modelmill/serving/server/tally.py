"""What is counted of requests: added up in memory, written as EMF lines every few seconds (not one line a request)."""

import sys
import time
from threading import Lock
from typing import Any

from modelmill.core.watch.emf import emf_line
from modelmill.serving.plane import Call

_VALUES = 100
"""Latencies in one line. Source: "Specification: Embedded metric format" (an array of up to 100 numbers)."""


class Tally:
    """Sums by tenant, model and version; what names no known model is counted under "-"."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sums: dict[tuple[str, str, str], list[Any]] = {}

    def add(self, call: Call, status: int, seconds: float) -> None:
        """Count one answered request."""
        key = call.tenant, call.found_model, call.found_version
        with self._lock:
            sums = self._sums.get(key)
            if sums is None:
                sums = self._sums[key] = [0, 0, 0, 0, []]
            sums[0] += 1
            if status == 200:
                sums[1] += call.predictions
            elif status >= 500:
                sums[2] += 1
            else:
                sums[3] += 1
            if len(sums[4]) < _VALUES:
                sums[4].append(round(seconds * 1000, 3))

    def flush(self) -> None:
        """Write and forget."""
        with self._lock:
            taken, self._sums = self._sums, {}
        for (tenant, model, version), (requests, predictions, errors, refused, latencies) in taken.items():
            counts = {"Requests": requests, "Predictions": predictions, "Errors": errors, "ClientErrors": refused}
            metrics = {name: (count, "Count") for name, count in counts.items()}
            metrics["Latency"] = (latencies, "Milliseconds")
            who = {"tenant": tenant, "model": model, "version": version}
            sys.stdout.write(emf_line(int(time.time() * 1000), who, metrics) + "\n")
        sys.stdout.flush()
