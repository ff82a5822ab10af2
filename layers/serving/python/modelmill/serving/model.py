"""A loaded model: columns of raw values in, probabilities or a measure out, through one onnxruntime session.

One intra-op thread and no spinning: a function has its vCPU share for itself, and a spinning thread doubles the
latency of its neighbours in a container. Rows go through the session in blocks, because the width of the padded text
features is that of the longest text in a block: one long text must not widen a thousand short ones.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from modelmill.core.errors import ModelmillError
from modelmill.serving.answers import Answers
from modelmill.serving.features import Features
from modelmill.serving.instances import Columns, Field
from modelmill.serving.tensors import answer, columns_of

_BLOCK_ROWS = 64


class UnusableModel(ModelmillError):
    """The package is what was registered, but no session can be made of it."""

    def __init__(self, message: str) -> None:
        super().__init__("unusable_model", message, status=409, hint="train and register the model again")


class Model:
    """Raw columns → scores. `fields` are the raw inputs, `answers` says what the scores mean."""

    def __init__(self, folder: Path) -> None:
        """Load the verified package in `folder`; raises UnusableModel. Ready means: one prediction was made."""
        signature, preprocess, labels = (
            json.loads((folder / name).read_bytes()) for name in ("signature.json", "preprocess.json", "labels.json")
        )
        self.signature: dict[str, Any] = signature
        self.answers = Answers(signature["outputs"], labels)
        self._features = Features(preprocess)
        self.fields = tuple(
            Field(tensor["name"], tensor["datatype"] != "BYTES", self._features.media.get(tensor["name"]))
            for tensor in signature["inputs"]
        )
        self.is_text: bool = self._features.is_text
        if set(self._features.field_names) != {field.name for field in self.fields}:
            raise UnusableModel("the signature's inputs are not those of the preprocessing")
        path = folder / "model.onnx"
        self.size = path.stat().st_size
        self._session = session(path)
        self.seconds = self._warm_up()

    def infer(self, request: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
        """The outputs that were asked for, and the rows that came in; raises ModelmillError naming the tensor."""
        scores = self.scores(columns_of(request, self.fields, is_text=self.is_text))
        return answer(request, self.answers, scores), len(scores)

    def scores(self, columns: Columns) -> NDArray[np.float32]:
        """Probabilities float32 [rows, labels], or the measure [rows, 1].

        Raises ModelmillError (`no_answer`) for a row whose numbers overflow the model.
        """
        rows = len(next(iter(columns.values())))
        blocks = [self._run(_rows(columns, start)) for start in range(0, rows, _BLOCK_ROWS)]
        result = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        finite = np.isfinite(result).all(axis=1)
        if not finite.all():
            raise ModelmillError(
                "no_answer",
                f"instance {int(np.argmin(finite))}: its numbers are too large for this model",
                status=422,
                hint="check the units of its numbers",
            )
        return result

    def _run(self, columns: Columns) -> NDArray[np.float32]:
        result: NDArray[np.float32] = self._session.run(None, self._features.arrays(columns))[0]
        return result

    def _warm_up(self) -> float:
        """Seconds of the second run, with one blank row."""
        blank = {field.name: [None] for field in self.fields}
        try:
            shape = self._run(blank).shape
        # onnxruntime's errors share no base class but Exception.
        except Exception as error:
            raise UnusableModel(f"the model does not run ({type(error).__name__})") from error
        if shape != (1, self.answers.width):
            raise UnusableModel(f"the model gives {list(shape)} for one row, not [1, {self.answers.width}]")
        started = time.perf_counter()
        self._run(blank)
        return time.perf_counter() - started


def _rows(columns: Columns, start: int) -> Columns:
    return {name: values[start : start + _BLOCK_ROWS] for name, values in columns.items()}


def session(path: Path) -> onnxruntime.InferenceSession:
    """A session on one thread that does not spin; raises UnusableModel."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # its own messages name tensors and paths: ours name the cause
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    # onnxruntime's errors share no base class but Exception.
    except Exception as error:
        raise UnusableModel(f"onnxruntime does not load the model ({type(error).__name__})") from error
