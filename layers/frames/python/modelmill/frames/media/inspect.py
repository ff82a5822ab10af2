"""Checking files side by side: names of media in; for each, in order, its cell and what was seen, or why not, out."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from modelmill.core.limits import MEDIA_BYTES, MIB
from modelmill.frames.media.audio import inspect_audio
from modelmill.frames.media.cell import media_cell
from modelmill.frames.media.files import Kind
from modelmill.frames.media.image import LargeImage, inspect_image
from modelmill.frames.media.seen import BadMedia, Seen

_THREADS = 2
"""Decoders release the lock of Python: two are twice as fast for large files, and no faster for small ones."""
CHUNK = 512


@dataclass(frozen=True, slots=True)
class Checked:
    """A file: its cell and what was seen, or why it cannot be used."""

    name: str
    cell: str | None = None
    seen: Seen | None = None
    why: str = ""


def check(folder: Path, kind: Kind, name: str, *, alone: bool = True) -> Checked:
    """Decode one file; see `inspect_image` for `alone`."""
    path = folder / name
    if path.stat().st_size > MEDIA_BYTES:
        return Checked(name, why=f"larger than {MEDIA_BYTES // MIB} MiB")
    try:
        seen = inspect_image(path, alone=alone) if kind == "image" else inspect_audio(path)
    except BadMedia as error:
        return Checked(name, why=str(error))
    return Checked(name, media_cell(folder, name), seen)


def check_all(folder: Path, kind: Kind, names: Iterable[str]) -> Iterator[list[Checked]]:
    """Decode files in a few threads; so many at a time that memory is flat."""
    left = iter(names)
    with ThreadPoolExecutor(_THREADS) as pool:
        while chunk := list(islice(left, CHUNK)):
            checked = list(pool.map(lambda name: _check_small(folder, kind, name), chunk))
            # In this thread alone: each thread's allocator keeps as much memory as it once had.
            yield [one or check(folder, kind, name) for name, one in zip(chunk, checked, strict=True)]


def _check_small(folder: Path, kind: Kind, name: str) -> Checked | None:
    try:
        return check(folder, kind, name, alone=False)
    except LargeImage:
        return None
