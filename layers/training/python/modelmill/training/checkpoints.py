"""Checkpoints: the state of a training loop in, one safetensors file out, and back.

The file is written beside its final name and renamed, so a kill leaves the last whole checkpoint. One is due every
SAVE_SECONDS, and the end of a loop always is kept. SageMaker copies its folder to S3 by itself; on Batch the file is
copied here, at most every COPY_SECONDS.
"""

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save_file
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
        if self.remote and self._saved - self._copied >= COPY_SECONDS:
            objects.upload(*self.remote, self.path)
            self._copied = self._saved

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The kept state, or None if there is none, it is of something else, or it cannot be read."""
        return parse(self.read(), self.fingerprint)

    def read(self) -> bytes:
        """The file's bytes, or none."""
        if not self.path.exists() and self.remote:
            with contextlib.suppress(FileNotFoundError):
                objects.download(*self.remote, self.path)
        return self.path.read_bytes() if self.path.exists() else b""


def parse(data: bytes, fingerprint: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The state in a file's bytes, or None if it is of something else or torn, which is as good as none."""
    try:
        tensors = dict(sorted(load(data).items()))  # in one order, for processes that take them up together
    except SafetensorError:
        return None
    size = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + size])["__metadata__"]
    return (tensors, json.loads(metadata["state"])) if metadata["fingerprint"] == fingerprint else None
