"""A form of a model and rows in; its size, score, time a row, and whether a row's answer depends on others, out."""

import time
from typing import Any

import numpy as np
import torch

from modelmill.serving.features import Features
from modelmill.training.convert import run, run_all, session_of
from modelmill.training.evaluate import Answers
from modelmill.training.objective import Objective
from modelmill.training.rows import Rows

_ALONE = 64
"""Rows that are also run one by one."""
_SCORES = {"classification": "accuracy", "multilabel": "micro_f1", "regression": "r2"}


def measured(model: bytes, features: Features, rows: Rows, objective: Objective) -> dict[str, Any]:
    """`bytes`, `measure` and `score` (larger is better), `neighbours` and `row_ms`.

    `neighbours`: largest difference of an answer between a row in a batch and that row alone (of a measure: in
    standard deviations of the answers). `row_ms`: median milliseconds of one row alone, features and session.
    """
    session = session_of(model)
    answers = run_all(session, features, rows)
    alone, times = [], []
    for row in range(min(len(rows), _ALONE)):
        started = time.perf_counter()
        alone.append(run(session, features.arrays(rows.part(row, row + 1))))
        times.append(time.perf_counter() - started)
    unit = float(answers.std(dtype=np.float64)) or 1.0 if objective.answers == "regression" else 1.0
    measure = _SCORES[objective.answers]
    return {
        "bytes": len(model),
        "measure": measure,
        "score": round(score(answers, rows, objective, measure), 6),
        "neighbours": float(np.abs(np.concatenate(alone) - answers[: len(alone)]).max()) / unit,
        "row_ms": round(float(np.median(times)) * 1_000, 4),
    }


def score(answers: Answers, rows: Rows, objective: Objective, measure: str) -> float:
    """The score of answers float32 [rows, K], as the objective has it of raw outputs."""
    if objective.answers == "regression":
        truth = rows.target
        spread = float(((truth - truth.mean()) ** 2).sum())
        return 1 - float(((answers[:, 0] - truth) ** 2).sum()) / spread if spread else 0.0
    # Any increasing function of probabilities chooses the same labels; tags are chosen above one half.
    return objective.scores(torch.from_numpy(answers) - 0.5, objective.target(rows))[measure]
