"""What is said of a request on stdout, a JSON line each: why it was refused or failed, and its metrics. No payload."""

import sys
import time
import traceback
from typing import Any

import orjson

from modelmill.core.errors import ModelmillError
from modelmill.core.watch.emf import emf_line
from modelmill.serving.plane import Call


def refused(request_id: str, call: Call, error: ModelmillError) -> None:
    """Log a refusal by its code; its message may quote what the caller sent."""
    level = "ERROR" if error.status >= 500 else "WARNING"
    _write({"level": level, "code": error.code, "status": error.status} | _who(request_id, call))


def failed(request_id: str, call: Call, error: Exception) -> None:
    """Log a fault of ours by its type and place; its message may quote what the caller sent."""
    frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    fault = {"level": "ERROR", "code": "internal", "status": 500, "type": type(error).__name__, "at": frames[-8:]}
    _write(fault | _who(request_id, call))


def counted(call: Call, status: int, seconds: float) -> None:
    """One line of metrics; what names no known model is counted under "-", so that nobody can invent dimensions."""
    dimensions = {"tenant": call.tenant, "model": call.found_model, "version": call.found_version}
    metrics = {
        "Requests": (1, "Count"),
        "Predictions": (call.predictions if status == 200 else 0, "Count"),
        "Errors": (int(status >= 500), "Count"),
        "ClientErrors": (int(400 <= status < 500), "Count"),
        "Latency": (round(seconds * 1000, 3), "Milliseconds"),
    }
    sys.stdout.write(emf_line(int(time.time() * 1000), dimensions, metrics) + "\n")


def _who(request_id: str, call: Call) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "tenant": call.tenant,
        "model": call.found_model,
        "version": call.found_version,
    }


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
