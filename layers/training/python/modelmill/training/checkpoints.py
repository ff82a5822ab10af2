"""Checkpoints: the state of a training loop in, one safetensors file out, and back.

The file is written beside its final name and renamed, so a kill leaves the last whole checkpoint. One is due every
SAVE_SECONDS, and the end of a loop always is kept. SageMaker copies its folder to S3 by itself; on Batch the file is
copied here, at most every COPY_SECONDS.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from modelmill.aws import objects

SAVE_SECONDS = 10.0
COPY_SECONDS = 30.0


@dataclass(slots=True)
class Checkpoints:
    """Keeps one checkpoint of one loop. `fingerprint` is of data, recipe and candidate: another's state is ignored."""

    path: Path
    fingerprint: str
    remote: tuple[str, str] | None = None
    """Bucket and key of the copy, where nothing else keeps the file."""
    clock: Callable[[], float] = time.monotonic
    _saved: float = field(default=0.0, init=False)
    _copied: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """The first copy waits its turn too: most runs are over before."""
        self._saved = self._copied = self.clock()

    def due(self) -> bool:
        """True when the last one is SAVE_SECONDS old."""
        return self.clock() - self._saved >= SAVE_SECONDS

    def of(self, part: str) -> "Checkpoints":
        """The checkpoint of one fit of several, beside this one."""
        name = f"{self.path.stem}.{part}{self.path.suffix}"
        remote = self.remote and (self.remote[0], self.remote[1].rpartition("/")[0] + "/" + name)
        return Checkpoints(self.path.with_name(name), f"{self.fingerprint}/{part}", remote, self.clock)

    def save(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Keep `tensors` and the JSON value `state`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        metadata = {"fingerprint": self.fingerprint, "state": json.dumps(state)}
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial, metadata)
        partial.replace(self.path)
        self._saved = self.clock()
        if self.remote and self.clock() - self._copied >= COPY_SECONDS:
            objects.upload(*self.remote, self.path)
            self._copied = self.clock()

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The kept state, or None if there is none, it is of something else, or it cannot be read."""
        if not self.path.exists() and self.remote:
            try:
                objects.download(*self.remote, self.path)
            except FileNotFoundError:
                return None
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("fingerprint") != self.fingerprint:
                    return None
                return {name: file.get_tensor(name) for name in file.keys()}, json.loads(metadata["state"])  # noqa: SIM118
        except SafetensorError:
            return None  # a torn copy is as good as none
