"""The parity gate: a net and its ONNX model in, proof that they agree out, or the job fails.

Compared on every test row and on rows made to break things: empty, missing, never seen, huge, very long.
"""

from typing import Any

import numpy as np
import onnxruntime as ort

from modelmill.core.errors import Rejected
from modelmill.core.model.spec import RunSpec
from modelmill.core.model.task import reads_of
from modelmill.serving.features import Arrays, Columns, Features
from modelmill.training.evaluate import Answers, batches
from modelmill.training.nets import Model
from modelmill.training.rows import Rows

TOLERANCE = 1e-4
"""Largest difference of a probability between torch and onnxruntime."""
_LONG = "long text " * 5_000
_EDGES: dict[str, list[object]] = {
    "text": ["", None, "…", "\u0000", "é" * 10_000, _LONG, "一" * 5_000, "never-seen-before-word"],
    "category": ["", None, "never-seen-before", "a" * 10_000, 0, True, "NA", "\u0000"],
    "number": [None, 0, 1e300, -1e300, float("inf"), float("nan"), 1e-300, "?"],
}


def session_of(model: bytes) -> ort.InferenceSession:
    """A single-threaded session, so that the numbers are the same each time."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(session: ort.InferenceSession, arrays: Arrays) -> Answers:
    """Answers float32 [B, C] of one batch."""
    probabilities: Answers = session.run(["probabilities"], arrays)[0]
    return probabilities


def run_all(session: ort.InferenceSession, features: Features, rows: Rows) -> Answers:
    """Answers of all rows."""
    return np.concatenate([run(session, arrays) for arrays in batches(features, rows)])


def edge_rows(spec: RunSpec) -> Columns:
    """Rows that a caller may send and the data need not hold: every input at its worst, in one row each."""
    kind_of = {"number": "number", "text": "text"}
    text = reads_of(spec.task) == "text"
    return {column.name: _EDGES["text" if text else kind_of.get(column.kind, "category")] for column in spec.inputs}


def check_parity(model: Model, converted: bytes, features: Features, test: Rows, spec: RunSpec) -> dict[str, Any]:
    """Rows compared and the largest difference; raises Rejected (`parity`) with the worst rows' numbers.

    Answers within TOLERANCE imply equal labels wherever the two best classes differ by more than twice that;
    labels are compared as well.
    """
    session = session_of(converted)
    differences, flips, rows = [], 0, 0
    for arrays in (*batches(features, test), features.arrays(edge_rows(spec))):
        ours, theirs = model.answers(arrays).numpy(), run(session, arrays)
        differences.append(np.nan_to_num(np.abs(ours - theirs), nan=np.inf).max(axis=1))
        flips += int(((ours.argmax(1) != theirs.argmax(1)) & (_margin(ours) > 2 * TOLERANCE)).sum())
        rows += len(ours)
    difference = np.concatenate(differences)
    if difference.max() > TOLERANCE or flips:
        worst = np.argsort(-difference)[:5]
        listed = ", ".join(f"row {row}: {difference[row]:.2e}" for row in worst)
        raise Rejected(
            "parity", f"the converted model differs from the trained one: {listed}; {flips} labels", limit=TOLERANCE
        )
    return {
        "rows": rows,
        "edge_rows": rows - len(test),
        "max_difference": float(difference.max()),
        "labels_equal": True,
        "tolerance": TOLERANCE,
    }


def _margin(probabilities: Answers) -> Answers:
    best = np.partition(probabilities, -2, axis=1)
    margin: Answers = best[:, -1] - best[:, -2]
    return margin
