"""The steps of the data phase, run apart: a relay and the number of a part or a bucket in; what came of it out.

Each step takes what earlier ones left, does its work in an empty folder and leaves its own. A part that is refused
leaves the refusal in the place of its result, and the next step over all parts raises it, as one machine would.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelmill.core.data.accounts import UnusableData
from modelmill.core.data.mask import Pseudonyms
from modelmill.core.errors import Rejected
from modelmill.frames import wire
from modelmill.frames.bucket import Bucketed
from modelmill.frames.decide import Decisions, decide
from modelmill.frames.finish import Gathered, Prepared, finish
from modelmill.frames.parts import Part
from modelmill.frames.relay import Relay
from modelmill.frames.scan import Scan
from modelmill.frames.settle import Settled, settle
from modelmill.frames.steps import (
    WHOLE,
    Grain,
    PartDone,
    Scratch,
    clean_part,
    scan_part,
    transform_part,
    write_bucket_of,
)
from modelmill.frames.tally import Tally
from modelmill.frames.work import take_parts, take_work

_REFUSED, _SCANNED, _DECIDED, _TALLIED, _SETTLED = "refused", "scanned", "decided.json", "tallied", "settled.json"
ROWS = "rows/"
"""Where the stored rows lie until the version has a name."""
_READERS = 8


def scan_one(relay: Relay, index: int, folder: Path) -> None:
    """Scan a part."""
    with _leaving(relay, f"scan/{index:05}") as leave:
        work = take_work(relay)
        part = _at_hand(take_parts(relay, work.files)[index], folder)
        leave(scan_part(index, part, work.recipe.clean, Scratch(folder)))


def decide_all(relay: Relay, grain: Grain = WHOLE) -> int:
    """Decide by the scans of all parts; the number of buckets. Raises Rejected, UnusableData once rows are counted."""
    work = take_work(relay)
    given = [part.file.split for part in take_parts(relay, work.files)]
    scanned = reduce(Scan.merge, _left(relay, "scan", len(given), Scan))
    scanned.warnings[:0] = work.warnings
    try:
        decisions = decide(scanned, work.recipe, given=any(given), smallest_bucket=grain.bucket)
    except Rejected as cause:
        raise UnusableData(cause, scanned.read) from None
    relay.put(_SCANNED, wire.pack(scanned))
    relay.put(_DECIDED, _json({"decisions": decisions.model_dump(mode="json"), "firsts": scanned.firsts}))
    return decisions.buckets


@dataclass(frozen=True, slots=True)
class Decided:
    """What rows are treated by, and how many come before each part."""

    decisions: Decisions
    firsts: list[int]

    @classmethod
    def of(cls, relay: Relay) -> "Decided":
        """As it was decided."""
        document = json.loads(relay.get(_DECIDED))
        return cls(Decisions.model_validate(document["decisions"]), document["firsts"])


def transform_one(relay: Relay, index: int, pseudonyms: Pseudonyms, folder: Path) -> tuple[Path, PartDone] | None:
    """Transform a part and count its rows: the file of its examples, and where each bucket's lie. None if refused."""
    with _leaving(relay, f"tally/{index:05}") as leave:
        work, decided, scratch = take_work(relay), Decided.of(relay), Scratch(folder)
        part = _at_hand(take_parts(relay, work.files)[index], folder)
        clean_part(index, part, work.recipe.clean, scratch)
        done = transform_part(index, part, decided.decisions, pseudonyms, scratch, first_row=decided.firsts[index])
        if done.tally.reasons.total():
            relay.put_file(f"quarantine/part-{index:05}", scratch.quarantine(index))
        leave(done)
        return scratch.examples(index), done
    return None


def leave_examples(relay: Relay, index: int, examples: Path) -> None:
    """Leave a part's examples to the buckets."""
    relay.put_file(f"examples/{index:05}", examples)


def settle_all(relay: Relay) -> int:
    """Settle by the tallies of all parts; the number of buckets. Raises UnusableData."""
    work, decided = take_work(relay), Decided.of(relay)
    tallied, offsets, noted = Tally(), [], []
    for index, done in enumerate(_left(relay, "tally", len(decided.firsts), PartDone)):
        tallied = tallied.merge(done.tally)
        offsets.append(done.offsets)
        if done.tally.reasons.total():
            noted.append(index)
    try:
        settled = settle(tallied, decided.decisions, work.recipe)
    except Rejected as cause:
        raise UnusableData(cause, tallied.usable + tallied.reasons.total()) from None
    relay.put(_TALLIED, wire.pack(tallied))
    document = {"settled": settled.model_dump(mode="json"), "offsets": offsets, "noted": noted}
    relay.put(_SETTLED, _json(document))
    return decided.decisions.buckets


def _settled(relay: Relay) -> tuple[Settled, list[list[int]], list[int]]:
    document = json.loads(relay.get(_SETTLED))
    return Settled.model_validate(document["settled"]), document["offsets"], document["noted"]


def write_one(relay: Relay, bucket: int, folder: Path) -> None:
    """Put together and store the rows of a bucket from the examples that parts left."""
    _, offsets, _ = _settled(relay)

    def fetch(index: int) -> bytes | None:
        start, end = offsets[index][bucket : bucket + 2]
        return relay.get_range(f"examples/{index:05}", start, end) if end > start else None

    with ThreadPoolExecutor(_READERS) as pool:
        write_examples(relay, bucket, pool.map(fetch, range(len(offsets))), folder)


def write_examples(relay: Relay, bucket: int, examples: Iterator[bytes | None], folder: Path) -> None:
    """Store the rows of a bucket from its examples of all parts, in their order."""
    with _leaving(relay, f"bucket/{bucket:05}") as leave:
        decided, (settled, _, _), scratch, rows = Decided.of(relay), _settled(relay), Scratch(folder), folder / "rows"
        rows.mkdir()
        found = (pa.ipc.open_stream(data).read_all() for data in examples if data)
        done = write_bucket_of(bucket, found, decided.decisions, settled, scratch=scratch, folder=rows)
        for path in sorted(rows.iterdir()):
            relay.put_file(ROWS + path.name, path)
        if done.reasons.total():
            relay.put_file(f"quarantine/bucket-{bucket:05}", scratch.left_out(bucket))
        leave(done)


def refuse(relay: Relay, cause: Rejected) -> None:
    """Leave the refusal of the whole upload to `finish_all`."""
    relay.put(_REFUSED, wire.pack(cause))


def finish_all(relay: Relay, pseudonyms: Pseudonyms, folder: Path, target: Path) -> Prepared:
    """Put everything together, with quarantine.jsonl in `target`; rows stay at ROWS. Raises Rejected, UnusableData."""
    if refused := relay.find(_REFUSED):
        wire.unpack(refused, Scan)
    work, decided, (settled, _, noted) = take_work(relay), Decided.of(relay), _settled(relay)
    given = [part.file.split for part in take_parts(relay, work.files)]
    scanned, tallied = wire.unpack(relay.get(_SCANNED), Scan), wire.unpack(relay.get(_TALLIED), Tally)
    buckets = list(_left(relay, "bucket", decided.decisions.buckets, Bucketed))
    left_out = [f"bucket-{index:05}" for index, bucket in enumerate(buckets) if bucket.reasons.total()]
    quarantine = [_joined(relay, noted, folder), *_fetched(relay, left_out, folder)]
    try:
        bucketed = reduce(Bucketed.merge, buckets)
        gathered = Gathered(scanned, decided.decisions, tallied, settled, bucketed, given)
        return finish(gathered, quarantine, pseudonyms, target)
    except Rejected as cause:
        raise UnusableData(cause, scanned.read) from None


def _joined(relay: Relay, noted: Sequence[int], folder: Path) -> Path:
    """The lines of all parts as one file: those of a part come before those of the next."""
    path = folder / "parts.jsonl"
    with path.open("wb") as file, ThreadPoolExecutor(_READERS) as pool:
        for lines in pool.map(lambda index: relay.get(f"quarantine/part-{index:05}"), noted):
            file.write(lines)
    return path


def _fetched(relay: Relay, names: Sequence[str], folder: Path) -> list[Path]:
    with ThreadPoolExecutor(_READERS) as pool:
        list(pool.map(lambda name: relay.get_file(f"quarantine/{name}", folder / name), names))
    return [folder / name for name in names]


def _left(relay: Relay, step: str, count: int, kind: type[wire.Value]) -> Iterator[wire.Value]:
    """What each part or bucket left, in order; a few are fetched ahead. Raises the first refusal."""
    for start in range(0, count, _READERS):
        names = [f"{step}/{index:05}" for index in range(start, min(count, start + _READERS))]
        with ThreadPoolExecutor(_READERS) as pool:
            yield from (wire.unpack(data, kind) for data in pool.map(relay.get, names))


@contextmanager
def _leaving(relay: Relay, name: str) -> Iterator[Any]:
    """Leaves a result by the function that it gives, or the refusal that ends the block."""
    try:
        yield lambda value: relay.put(name, wire.pack(value))
    except Rejected as cause:
        relay.put(name, wire.pack(cause))


def _at_hand(part: Part, folder: Path) -> Part:
    """The part with its file on disk, if all of it is read, and by libraries that ask for a path."""
    if part.layout != "whole" or isinstance(part.file.path, Path):
        return part
    path = folder / "whole"
    with part.file.path.open("rb") as source, path.open("wb") as file:
        while chunk := source.read(8 * 1024 * 1024):
            file.write(chunk)
    return replace(part, file=replace(part.file, path=path))


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
