"""The data phase on one machine: the files of an upload and a recipe in; the files of a dataset version out.

The steps are those of every engine (`steps.py`); here a few workers share the parts and the buckets.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import pyarrow as pa

from modelmill.core.data.accounts import UnusableData
from modelmill.core.data.mask import Pseudonyms
from modelmill.core.errors import Rejected
from modelmill.core.limits import MIB
from modelmill.core.model.recipe import Recipe
from modelmill.frames.attached import Attached
from modelmill.frames.bucket import Bucketed
from modelmill.frames.decide import decide
from modelmill.frames.finish import Gathered, Prepared, finish
from modelmill.frames.media.facts import MediaFacts
from modelmill.frames.parts import list_parts, media_parts
from modelmill.frames.read.unpack import Unpacked, unpack
from modelmill.frames.scan import Scan
from modelmill.frames.settle import settle
from modelmill.frames.steps import WHOLE, Grain
from modelmill.frames.tally import Tally
from modelmill.frames.worker import Helper, Worker

_MOST_WORKERS = 4
HELPED_BYTES = 64 * MIB
"""With less a second process takes longer to start than it saves."""
Crew = Sequence[Worker | Helper]
Result = TypeVar("Result")


def prepare(
    files: Sequence[tuple[Path, str]], recipe: Recipe, pseudonyms: Pseudonyms, work: Path, target: Path
) -> Prepared:
    """Run the data phase over the files (path and name within the upload) of one upload.

    `work` is an empty folder for what comes between, `target` one for the rows of each split and the quarantine.
    Raises Rejected, and UnusableData once the rows are counted.
    """
    (work / "unpacked").mkdir(parents=True)
    return prepare_unpacked(unpack(files, work / "unpacked"), recipe, pseudonyms, work, target)


def prepare_unpacked(
    unpacked: Unpacked, recipe: Recipe, pseudonyms: Pseudonyms, work: Path, target: Path, *, grain: Grain = WHOLE
) -> Prepared:
    """The same for an upload that is unpacked already."""
    media = unpacked.media
    parts = list_parts(unpacked.files, grain.part) if unpacked.files or media is None else media_parts(media)
    worker = Worker(parts, recipe.clean, pseudonyms, work, target)
    worker.attached = None if media is None else Attached(media, MediaFacts(media.kind))
    with _crew(worker) as crew:
        scanned = reduce(Scan.merge, _each(crew, lambda one, index: one.scan(index), len(parts)))
        scanned.warnings[:0] = unpacked.warnings
        try:
            return _prepare(crew, worker, scanned, recipe, grain)
        except Rejected as cause:
            raise UnusableData(cause, scanned.read) from None


def _prepare(crew: Crew, worker: Worker, scanned: Scan, recipe: Recipe, grain: Grain) -> Prepared:
    given = [part.file.split for part in worker.parts]
    decisions = decide(scanned, recipe, given=any(given), smallest_bucket=grain.bucket)
    for one in crew:
        one.decide(decisions, scanned.firsts)
    tallied, offsets = Tally(), []
    for done in _each(crew, lambda one, index: one.transform(index), len(given)):
        tallied = tallied.merge(done.tally)
        offsets.append(done.offsets)
    settled = settle(tallied, decisions, recipe)
    for one in crew:
        one.settle(settled, offsets)
    bucketed = reduce(Bucketed.merge, _each(crew, lambda one, bucket: one.write(bucket), decisions.buckets))
    scratch = worker.scratch
    quarantine = [
        *(scratch.quarantine(index) for index in range(len(given))),
        *(scratch.left_out(bucket) for bucket in range(decisions.buckets)),
    ]
    gathered = Gathered(scanned, decisions, tallied, settled, bucketed, given)
    return finish(gathered, quarantine, worker.pseudonyms, worker.target, worker.attached)


@contextmanager
def _crew(worker: Worker) -> Iterator[Crew]:
    """The worker, and helpers in other processes where there is enough to do; else it takes two at a time."""
    most = min(_MOST_WORKERS, os.cpu_count() or 1)
    files = {part.file.path for part in worker.parts}
    if worker.attached or sum(path.stat().st_size for path in files) < HELPED_BYTES:
        yield [worker] * min(2, most)
        return
    helpers = [Helper(worker) for _ in range(most - 1)]
    try:
        yield [worker, *helpers]
    finally:
        for helper in helpers:
            helper.close()


def _each(crew: Crew, work: Callable[[Worker | Helper, int], Result], count: int) -> Iterator[Result]:
    """The results for numbers below `count`, in order, as they are there; the first fault stops the rest."""
    free: SimpleQueue[Worker | Helper] = SimpleQueue()
    for one in crew:
        free.put(one)

    def run(number: int) -> Result:
        one = free.get()
        try:
            return work(one, number)
        finally:
            free.put(one)

    with ThreadPoolExecutor(len(crew)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for number in range(count):
                waiting.append(pool.submit(run, number))
                # A few are made ahead; what is made is merged at once, so that memory does not grow with the parts.
                if len(waiting) > len(crew):
                    yield waiting.popleft().result()
                    pa.default_memory_pool().release_unused()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
