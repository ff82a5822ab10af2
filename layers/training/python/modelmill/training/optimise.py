"""The gate of int8: an ONNX model in, the smaller one out if it is as good, and the report of both.

Dynamic quantisation of Gather tables and constant MatMul weights. Its MatMul scales activations by the largest value
in the whole batch, so that a row's answer depends on the rows beside it: a model in which that shows stays float32.
Results of int8 differ a little between CPU generations, which is why the gate has a margin
(`recipe.optimise.max_loss`).
"""

import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from modelmill.core.model.recipe import Optimise
from modelmill.serving.features import Features
from modelmill.training.convert import TOLERANCE, run, run_all, session_of
from modelmill.training.evaluate import Probabilities
from modelmill.training.rows import Rows

_ALONE = 64
"""Test rows that are also run one by one."""


def optimise(
    model: bytes, features: Features, test: Rows, rule: Optimise
) -> tuple[bytes, Probabilities, dict[str, Any]]:
    """The model to serve, its probabilities of the test rows, and the report with sizes, accuracies, latencies, why."""
    original, float32 = _measured(model, features, test)
    if not rule.int8:
        return model, original, {"float32": float32, "chosen": "float32", "why": "the recipe asks for no int8"}
    smaller = quantise(model)
    quantised, int8 = _measured(smaller, features, test)
    loss = float32["accuracy"] - int8["accuracy"]
    refusal = None
    if len(smaller) >= len(model):
        refusal = "the int8 model is not smaller"
    elif int8["neighbours"] > TOLERANCE:
        refusal = f"int8 answers depend on the other rows of a request, by up to {int8['neighbours']:.1e}"
    elif loss > rule.max_loss:
        refusal = f"int8 loses {loss:.4f} of accuracy, more than {rule.max_loss:g}"
    report = {"float32": float32, "int8": int8, "max_loss": rule.max_loss}
    if refusal:
        return model, original, report | {"chosen": "float32", "why": refusal}
    why = f"int8 is {len(model) / len(smaller):.1f} times smaller and loses {max(loss, 0.0):.4f} of accuracy"
    return smaller, quantised, report | {"chosen": "int8", "why": why}


def quantise(model: bytes) -> bytes:
    """The model with int8 weights."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def without_advice(record: logging.LogRecord) -> bool:
        """It advises to infer shapes first, which our graphs do not need."""
        return "pre-processing before quantization" not in record.getMessage()

    logging.getLogger().addFilter(without_advice)
    try:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "model.onnx"), Path(folder, "int8.onnx")
            source.write_bytes(model)
            quantize_dynamic(source, target, weight_type=QuantType.QInt8)
            return target.read_bytes()
    finally:
        logging.getLogger().removeFilter(without_advice)


def _measured(model: bytes, features: Features, test: Rows) -> tuple[Probabilities, dict[str, Any]]:
    """Probabilities of the test rows, and size (bytes), accuracy, `neighbours` and `row_ms`.

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
    return probabilities, {
        "bytes": len(model),
        "accuracy": round(float((probabilities.argmax(axis=1) == test.labels).mean()), 6),
        "neighbours": float(np.abs(np.concatenate(alone) - probabilities[: len(alone)]).max()),
        "row_ms": round(float(np.median(times)) * 1_000, 4),
    }
