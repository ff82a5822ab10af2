"""The parity gate: a net and its ONNX model in, proof that they agree out, or the job fails.

Compared on every test row and on rows made to break things: empty, missing, never seen, huge, very long.
"""

from typing import Any

import numpy as np
import onnxruntime as ort

from modelmill.core.errors import Rejected
from modelmill.core.model.spec import RunSpec
from modelmill.serving.features import Arrays, Columns, Features
from modelmill.training.evaluate import Answers, answered
from modelmill.training.nets import Model
from modelmill.training.rows import Rows

TOLERANCE = 1e-4
"""Largest difference of a probability between torch and onnxruntime."""
_HALF = 0.5
_LONG = "long text " * 5_000
_EDGES: dict[str, list[object]] = {
    "text": ["", None, "…", "\u0000", "é" * 10_000, _LONG, "一" * 5_000, "never-seen-before-word"],
    "category": ["", None, "never-seen-before", "a" * 10_000, 0, True, "NA", "\u0000"],
    "image": [None] * 8,
    "audio": [None] * 8,
    "number": [None, 0, 1e300, -1e300, float("inf"), float("nan"), 1e-300, "?"],
}


def session_of(model: bytes) -> ort.InferenceSession:
    """A single-threaded session, so that the numbers are the same each time."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(session: ort.InferenceSession, arrays: Arrays) -> Answers:
    """Answers float32 [B, K] of one batch: the model's only output."""
    answers: Answers = session.run(None, arrays)[0]
    return answers


def run_all(session: ort.InferenceSession, features: Features, rows: Rows) -> Answers:
    """Answers of all rows."""
    return answered(features, rows, lambda arrays: run(session, arrays))


def edge_rows(spec: RunSpec) -> Columns:
    """Rows that a caller may send and the data need not hold: every input at its worst, in one row each."""
    return {column.name: _EDGES.get(column.kind, _EDGES["category"]) for column in spec.inputs}


def check_parity(  # noqa: PLR0917 - two forms of a model, and the rows that they must agree on
    model: Model, converted: bytes, features: Features, test: Rows, answers: Answers, spec: RunSpec
) -> dict[str, Any]:
    """Rows compared and the largest difference; raises Rejected (`parity`) with the worst rows' numbers.

    `answers` are the model's own of the test rows. Differences of a measure are in standard deviations of the answers.
    Of probabilities labels are compared as well, wherever the decision is not closer than twice the tolerance.
    """
    session = session_of(converted)
    edges = features.arrays(edge_rows(spec))
    ours = np.concatenate([answers, model.answers(edges).numpy()])
    theirs = np.concatenate([run_all(session, features, test), run(session, edges)])
    unit = float(ours[: len(test)].std(dtype=np.float64)) or 1.0 if model.objective.answers == "regression" else 1.0
    scale = np.maximum(np.abs(ours) / 10, unit) if model.objective.answers == "regression" else unit
    difference = (np.nan_to_num(np.abs(ours - theirs), nan=np.inf) / scale).max(axis=1)
    flips = _flips(ours, theirs, model)
    if difference.max() > TOLERANCE or flips:
        worst = np.argsort(-difference)[:5]
        listed = ", ".join(f"row {row}: {difference[row]:.2e}" for row in worst)
        raise Rejected(
            "parity", f"the converted model differs from the trained one: {listed}; {flips} labels", limit=TOLERANCE
        )
    return {
        "rows": len(ours),
        "edge_rows": len(ours) - len(test),
        "max_difference": float(difference.max()),
        "labels_equal": True,
        "tolerance": TOLERANCE,
    }


def _flips(ours: Answers, theirs: Answers, model: Model) -> int:
    """Labels that differ though the decision is clear."""
    if model.objective.answers == "regression":
        return 0
    if model.objective.answers == "multilabel":
        return int((((ours > _HALF) != (theirs > _HALF)) & (np.abs(ours - _HALF) > 2 * TOLERANCE)).sum())
    return int(((ours.argmax(1) != theirs.argmax(1)) & (_margin(ours) > 2 * TOLERANCE)).sum())


def _margin(probabilities: Answers) -> Answers:
    best = np.partition(probabilities, -2, axis=1)
    margin: Answers = best[:, -1] - best[:, -2]
    return margin
