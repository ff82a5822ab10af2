"""The gate of int8: an ONNX model in, the smallest one out that is as good, and the report of all.

Dynamic quantisation, first of Gather tables and constant MatMul weights, else of the tables alone: a dynamic MatMul
scales activations by the largest value in the whole batch, so that a row's answer depends on the rows beside it, and
a model in which that shows is refused. Results of int8 differ a little between CPU generations, which is why the
gate has a margin (`recipe.optimise.max_loss`).
"""

import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from modelmill.core.model.spec import RunSpec
from modelmill.serving.features import Features
from modelmill.training.convert import TOLERANCE, run, run_all, session_of
from modelmill.training.rows import Rows

_VARIANTS = {"int8": ["Gather", "MatMul"], "int8-tables": ["Gather"]}
_WORTH = 0.9
"""A quantised model must be at most this share of the original's size: for less, rounding is not worth having."""
_ALONE = 64
"""Test rows that are also run one by one."""


def optimise(model: bytes, features: Features, rows: Rows, spec: RunSpec) -> tuple[bytes, dict[str, Any]]:
    """The model to serve and the report with sizes, accuracies, latencies, why. `rows` are not the test rows."""
    rule = spec.recipe.optimise
    float32 = _measured(model, features, rows)
    report: dict[str, Any] = {"float32": float32, "max_loss": rule.max_loss, "chosen": "float32"}
    if not rule.int8:
        return model, report | {"why": "the recipe asks for no int8"}
    refusals = []
    for name, operators in _VARIANTS.items():
        smaller = quantise(model, operators)
        report[name] = _measured(smaller, features, rows)
        refusal = _refusal(float32, report[name], rule.max_loss)
        if refusal is None:
            loss = max(float32["accuracy"] - report[name]["accuracy"], 0.0)
            why = f"{name} is {len(model) / len(smaller):.1f} times smaller and loses {loss:.4f} of accuracy"
            return smaller, report | {"chosen": name, "why": why}
        refusals.append(f"{name}: {refusal}")
    return model, report | {"why": "; ".join(refusals)}


def _refusal(float32: dict[str, Any], int8: dict[str, Any], max_loss: float) -> str | None:
    loss = float32["accuracy"] - int8["accuracy"]
    if int8["bytes"] > _WORTH * float32["bytes"]:
        return f"not smaller than {_WORTH:.0%} of float32"
    if int8["neighbours"] > TOLERANCE:
        return f"answers depend on the other rows of a request, by up to {int8['neighbours']:.1e}"
    return f"loses {loss:.4f} of accuracy, more than {max_loss:g}" if loss > max_loss else None


def quantise(model: bytes, operators: list[str]) -> bytes:
    """The model with int8 weights in `operators`."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def without_advice(record: logging.LogRecord) -> bool:
        """It advises to infer shapes first, which our graphs do not need."""
        return "pre-processing before quantization" not in record.getMessage()

    logging.getLogger().addFilter(without_advice)
    try:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "model.onnx"), Path(folder, "int8.onnx")
            source.write_bytes(model)
            quantize_dynamic(source, target, op_types_to_quantize=operators, weight_type=QuantType.QInt8)
            return target.read_bytes()
    finally:
        logging.getLogger().removeFilter(without_advice)


def _measured(model: bytes, features: Features, test: Rows) -> dict[str, Any]:
    """Size (bytes), accuracy, `neighbours` and `row_ms`.

    `neighbours`: largest difference of a probability between a row in a batch and that row alone. `row_ms`: median
    milliseconds of one row alone.
    """
    session = session_of(model)
    probabilities = run_all(session, features, test)
    alone, times = [], []
    for row in range(min(len(test), _ALONE)):
        arrays = features.arrays(test.part(row, row + 1))
        started = time.perf_counter()
        alone.append(run(session, arrays))
        times.append(time.perf_counter() - started)
    return {
        "bytes": len(model),
        "accuracy": round(float((probabilities.argmax(axis=1) == test.target).mean()), 6),
        "neighbours": float(np.abs(np.concatenate(alone) - probabilities[: len(alone)]).max()),
        "row_ms": round(float(np.median(times)) * 1_000, 4),
    }
