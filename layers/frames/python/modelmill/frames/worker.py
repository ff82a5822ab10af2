"""A worker of the data phase on one machine: numbers of parts and buckets in; what became of each, out.

`Worker` works in this process. `Helper` is one in a process of its own, for Python runs one thread at a time: it is
told what to do, and answers, over pipes, in the form in which functions leave things to each other (`wire.py`).
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

from modelmill.core.data.mask import Pseudonyms
from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Clean
from modelmill.frames import wire
from modelmill.frames.attached import Attached
from modelmill.frames.bucket import Bucketed
from modelmill.frames.decide import Decisions
from modelmill.frames.parts import Part
from modelmill.frames.read.unpack import DataFile
from modelmill.frames.scan import Scan
from modelmill.frames.scratch import read_examples
from modelmill.frames.settle import Settled
from modelmill.frames.steps import PartDone, Scratch, scan_part, transform_part, write_bucket_of
from modelmill.frames.work import pack_parts, unpack_parts

_FRUGAL = {"MALLOC_ARENA_MAX": "1", "MIMALLOC_PURGE_DELAY": "0", "OPENBLAS_NUM_THREADS": "1"}
"""The allocators of C and of Arrow give memory back at once: a fifth less of it, at no cost that can be measured."""
_FRAME = 8
"""Bytes of the length in front of each message."""


class Worker:
    """Runs the steps on parts and buckets; what is decided in between is told to it."""

    def __init__(self, parts: Sequence[Part], clean: Clean, pseudonyms: Pseudonyms, work: Path, target: Path) -> None:
        self.parts, self.clean, self.pseudonyms = parts, clean, pseudonyms
        self.scratch, self.target = Scratch(work), target
        self.attached: Attached | None = None

    def scan(self, index: int) -> Scan:
        """Scan a part."""
        return wire.passed(scan_part(index, self.parts[index], self.clean, self.scratch, self.attached))

    def decide(self, decisions: Decisions, firsts: Sequence[int]) -> None:
        """Take what was decided, and how many rows come before each part."""
        self._decisions, self._firsts = decisions, firsts

    def transform(self, index: int) -> PartDone:
        """Transform a part."""
        return wire.passed(
            transform_part(
                index,
                self.parts[index],
                self._decisions,
                self.pseudonyms,
                self.scratch,
                first_row=self._firsts[index],
                attached=self.attached,
            )
        )

    def settle(self, settled: Settled, offsets: Sequence[Sequence[int]]) -> None:
        """Take what was settled, and where the examples of each bucket lie in those of each part."""
        self._settled, self._offsets = settled, offsets

    def write(self, bucket: int) -> Bucketed:
        """Store a bucket."""
        files = [(self.scratch.examples(index), offsets) for index, offsets in enumerate(self._offsets)]
        found = (read_examples(path, offsets, bucket) for path, offsets in files)
        settled = self._settled
        return wire.passed(
            write_bucket_of(bucket, found, self._decisions, settled, scratch=self.scratch, folder=self.target)
        )


class Helper:
    """The same in another process. Raises RuntimeError if that process ends, as when memory runs out."""

    def __init__(self, worker: Worker) -> None:
        # What this process can import, the other can: also where no environment says so.
        environment = {**os.environ, **_FRUGAL, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "modelmill.frames.worker"]
        self._process = subprocess.Popen(  # noqa: S603  # ourselves
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        files = {part.file.name: part.file for part in worker.parts}
        self._tell(
            {
                "files": [[str(file.path), name, file.split, file.kind] for name, file in files.items()],
                "parts": pack_parts(worker.parts).decode("utf-8", "surrogatepass"),
                "clean": worker.clean.model_dump(mode="json"),
                "key": worker.pseudonyms.key.hex(),
                "work": str(worker.scratch.folder),
                "target": str(worker.target),
            }
        )

    def scan(self, index: int) -> Scan:
        """Scan a part."""
        return wire.unpack(self._ask("scan", index), Scan)

    def decide(self, decisions: Decisions, firsts: Sequence[int]) -> None:
        """Take what was decided, and how many rows come before each part."""
        self._tell({"decide": decisions.model_dump(mode="json"), "firsts": list(firsts)})

    def transform(self, index: int) -> PartDone:
        """Transform a part."""
        return wire.unpack(self._ask("transform", index), PartDone)

    def settle(self, settled: Settled, offsets: Sequence[Sequence[int]]) -> None:
        """Take what was settled, and where the examples of each bucket lie in those of each part."""
        self._tell({"settle": settled.model_dump(mode="json"), "offsets": [list(each) for each in offsets]})

    def write(self, bucket: int) -> Bucketed:
        """Store a bucket."""
        return wire.unpack(self._ask("write", bucket), Bucketed)

    @property
    def ended(self) -> bool:
        """True if the process is no more."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _tell(self, message: dict[str, Any]) -> None:
        _write(cast("IO[bytes]", self._process.stdin), json.dumps(message).encode())

    def _ask(self, step: str, number: int) -> bytes:
        self._tell({"step": step, "number": number})
        answer = _read(cast("IO[bytes]", self._process.stdout))
        if answer is None:
            raise RuntimeError(f"a process that helps to prepare data ended with status {self._process.wait()}")
        return answer


def _write(stream: IO[bytes], message: bytes) -> None:
    stream.write(len(message).to_bytes(_FRAME, "little") + message)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes | None:
    """The next message; None at the end."""
    size = int.from_bytes(stream.read(_FRAME), "little")
    message = stream.read(size)
    return message if size and len(message) == size else None


def _hired(message: dict[str, Any]) -> Worker:
    files = [DataFile(Path(path), name, split, kind) for path, name, split, kind in message["files"]]
    parts = unpack_parts(message["parts"].encode("utf-8", "surrogatepass"), files)
    pseudonyms = Pseudonyms(bytes.fromhex(message["key"]))
    clean = Clean.model_validate(message["clean"])
    return Worker(parts, clean, pseudonyms, Path(message["work"]), Path(message["target"]))


def _obey(worker: Worker, message: dict[str, Any]) -> bytes | None:
    if "decide" in message:
        worker.decide(Decisions.model_validate(message["decide"]), message["firsts"])
        return None
    if "settle" in message:
        worker.settle(Settled.model_validate(message["settle"]), message["offsets"])
        return None
    number = message["number"]
    try:
        if message["step"] == "scan":
            return wire.pack(worker.scan(number))
        return wire.pack(worker.transform(number) if message["step"] == "transform" else worker.write(number))
    except Rejected as cause:
        return wire.pack(cause)


def main() -> None:
    """Do what the other process says until it says nothing more."""
    source, answers = sys.stdin.buffer, sys.stdout.buffer
    first = _read(source)
    if first is None:
        return
    worker = _hired(json.loads(first))
    while (message := _read(source)) is not None:
        answer = _obey(worker, json.loads(message))
        if answer is not None:
            _write(answers, answer)


if __name__ == "__main__":
    main()
