"""Answers as models give them, made by hand: specifications, rows and evaluations of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Column, RunSpec
from modelmill.core.model.task import Task
from modelmill.training.evaluate import Evidence, metrics
from modelmill.training.rows import Rows


def spec_of(task: Task, labels: Sequence[str] = (), **recipe: Any) -> RunSpec:
    """A run's specification."""
    return RunSpec(
        run_id="r1",
        tenant="default",
        dataset="things",
        dataset_version="v1",
        data_prefix="default/datasets/things/v1/",
        model="things",
        task=task,
        target="label",
        inputs=[Column(name="text", kind="text")],
        labels=list(labels),
        candidates=[],
        recipe=Recipe(**recipe),
    )


def judged(
    probabilities: NDArray[Any], labels: NDArray[Any], names: Sequence[str], evidence: Evidence | None = None
) -> dict[str, Any]:
    """The evaluation of classes."""
    return metrics(probabilities, Rows({}, labels), spec_of("text-classification", names), evidence)


def tagged(probabilities: NDArray[Any], tags: NDArray[Any], evidence: Evidence | None = None) -> dict[str, Any]:
    """The evaluation of tags a, b, c …"""
    names = [chr(ord("a") + place) for place in range(tags.shape[1])]
    return metrics(probabilities, Rows({}, tags), spec_of("text-multilabel", names), evidence)


def measured(answers: NDArray[Any], truth: NDArray[Any], evidence: Evidence | None = None) -> dict[str, Any]:
    """The evaluation of a measure."""
    return metrics(answers[:, None], Rows({}, truth), spec_of("tabular-regression"), evidence)


def softmax(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Probabilities float32 of logits [rows, C]."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return found
