"""What a model's scores mean: scores of rows in, predictions for people and names for machines out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelmill.core.model.task import TAG_SEPARATOR

Scores = NDArray[np.float32]
TAG_THRESHOLD = 0.5


class Answers:
    """What the signature's first output says: one class of several (`label`), any number of tags (`labels`), a measure
    (`value`), or a vector (`embedding`)."""  # noqa: D205, D209

    def __init__(self, outputs: Sequence[Mapping[str, Any]], labels: list[str]) -> None:
        self.word: str = outputs[0]["name"]
        self.labels = labels
        self.width: int = {"value": 1, "embedding": outputs[0]["shape"][-1]}.get(self.word, len(labels))

    def words(self, scores: Scores) -> list[str]:
        """The class of each row, or its tags joined."""
        if self.word == "label":
            return [self.labels[index] for index in scores.argmax(axis=1)]
        return [TAG_SEPARATOR.join(self._tags(row)) for row in scores.tolist()]

    def predictions(self, scores: Scores) -> list[dict[str, Any]]:
        """A row's class `{"label", "score", "scores"}`, tags `{"labels", "scores"}`, `{"value"}` or `{"embedding"}`."""
        rows = scores.tolist()
        if self.word == "embedding":
            return [{"embedding": row} for row in rows]
        if self.word == "value":
            return [{"value": row[0]} for row in rows]
        if self.word == "labels":
            return [{"labels": self._tags(row), "scores": dict(zip(self.labels, row, strict=True))} for row in rows]
        return [self._class(row) for row in rows]

    def _class(self, row: list[float]) -> dict[str, Any]:
        score = max(row)
        label = self.labels[row.index(score)]
        return {"label": label, "score": score, "scores": dict(zip(self.labels, row, strict=True))}

    def _tags(self, row: list[float]) -> list[str]:
        return [label for label, score in zip(self.labels, row, strict=True) if score >= TAG_THRESHOLD]
