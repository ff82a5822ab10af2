"""The data phase on one machine: the files of an upload and a recipe in; the files of a dataset version out.

The steps are those of every engine (`steps.py`); here threads share the parts and the buckets, for Arrow computes
outside the lock of Python.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import reduce
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from modelmill.core.data.accounts import UnusableData
from modelmill.core.data.mask import Pseudonyms
from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Recipe
from modelmill.frames import wire
from modelmill.frames.attached import Attached
from modelmill.frames.bucket import Bucketed
from modelmill.frames.decide import decide
from modelmill.frames.finish import Gathered, Prepared, finish
from modelmill.frames.media.facts import MediaFacts
from modelmill.frames.parts import Part, list_parts, media_parts
from modelmill.frames.read.unpack import Unpacked, unpack
from modelmill.frames.scan import Scan
from modelmill.frames.scratch import read_examples
from modelmill.frames.settle import settle
from modelmill.frames.steps import WHOLE, Grain, Scratch, scan_part, transform_part, write_bucket_of
from modelmill.frames.tally import Tally

_MOST_THREADS = 4
Item = TypeVar("Item")
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
    attached = None if media is None else Attached(media, MediaFacts(media.kind))
    parts = list_parts(unpacked.files, grain.part) if unpacked.files or media is None else media_parts(media)
    scratch = Scratch(work)
    # What passes from step to step passes as it does between functions, so that it is the same to the last bit.
    scans = _each(
        lambda item: wire.passed(scan_part(item[0], item[1], recipe.clean, scratch, attached)), enumerate(parts)
    )
    scanned = reduce(Scan.merge, scans)
    scanned.warnings[:0] = unpacked.warnings
    try:
        return _prepare(parts, scanned, recipe, pseudonyms, scratch, target=target, grain=grain, attached=attached)
    except Rejected as cause:
        raise UnusableData(cause, scanned.read) from None


def _prepare(
    parts: Sequence[Part],
    scanned: Scan,
    recipe: Recipe,
    pseudonyms: Pseudonyms,
    scratch: Scratch,
    *,
    target: Path,
    grain: Grain,
    attached: Attached | None,
) -> Prepared:
    given = [part.file.split for part in parts]
    decisions = decide(scanned, recipe, given=any(given), smallest_bucket=grain.bucket)
    firsts = scanned.firsts
    done = _each(
        lambda item: wire.passed(
            transform_part(*item, decisions, pseudonyms, scratch, first_row=firsts[item[0]], attached=attached)
        ),
        enumerate(parts),
    )
    tallied, files = Tally(), []
    for index, part in enumerate(done):
        tallied = tallied.merge(part.tally)
        files.append((scratch.examples(index), part.offsets))
    settled = settle(tallied, decisions, recipe)

    def write(bucket: int) -> Bucketed:
        found = (read_examples(path, offsets, bucket) for path, offsets in files)
        return wire.passed(write_bucket_of(bucket, found, decisions, settled, scratch=scratch, folder=target))

    buckets = range(decisions.buckets)
    written = _each(write, buckets)
    quarantine = [
        *(scratch.quarantine(index) for index in range(len(parts))),
        *(scratch.left_out(bucket) for bucket in buckets),
    ]
    bucketed = reduce(Bucketed.merge, written)
    gathered = Gathered(scanned, decisions, tallied, settled, bucketed, given)
    return finish(gathered, quarantine, pseudonyms, target, attached)


def _each(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The results of the items, in their order, as they are there; the first fault stops the rest."""
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                # A few are made ahead; what is made is merged at once, so that memory does not grow with the parts.
                if len(waiting) > threads:
                    yield waiting.popleft().result()
                    pa.default_memory_pool().release_unused()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
