"""The accuracy gate of int8: an ONNX model in, the smaller one out if it is as good, and the report of both.

Dynamic quantisation of constant MatMul weights and Gather tables; activations stay float32. Results of int8 differ a
little between CPU generations, which is why the gate has a margin (`recipe.optimise.max_loss`).
"""

import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from modelmill.core.model.recipe import Optimise
from modelmill.serving.features import Features
from modelmill.training.convert import run, run_all, session_of
from modelmill.training.evaluate import Probabilities, batches
from modelmill.training.rows import Rows

_TIMED_RUNS = 50


def optimise(
    model: bytes, features: Features, test: Rows, rule: Optimise
) -> tuple[bytes, Probabilities, dict[str, Any]]:
    """The model to serve, its probabilities of the test rows, and the report with sizes, accuracies, latencies, why."""
    original, report = _measured(model, features, test)
    if not rule.int8:
        return model, original, {"float32": report, "chosen": "float32", "why": "the recipe asks for no int8"}
    smaller = quantise(model)
    quantised, int8 = _measured(smaller, features, test)
    loss = report["accuracy"] - int8["accuracy"]
    if len(smaller) >= len(model):
        why, chosen = "the int8 model is not smaller", "float32"
    elif loss > rule.max_loss:
        why, chosen = f"int8 loses {loss:.4f} of accuracy, more than {rule.max_loss}", "float32"
    else:
        why, chosen = f"int8 is {len(model) / len(smaller):.1f} times smaller and loses {max(loss, 0):.4f}", "int8"
    report_both = {"float32": report, "int8": int8, "max_loss": rule.max_loss, "chosen": chosen, "why": why}
    return (smaller, quantised, report_both) if chosen == "int8" else (model, original, report_both)


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
    session = session_of(model)
    probabilities = run_all(session, features, test)
    accuracy = float((probabilities.argmax(axis=1) == test.labels).mean())
    arrays = {name: array[:1] for name, array in next(batches(features, test)).items()}
    times = []
    for _ in range(_TIMED_RUNS):
        started = time.perf_counter()
        run(session, arrays)
        times.append(time.perf_counter() - started)
    latency = round(float(np.median(times)) * 1_000, 4)
    return probabilities, {"bytes": len(model), "accuracy": round(accuracy, 6), "row_ms": latency}
