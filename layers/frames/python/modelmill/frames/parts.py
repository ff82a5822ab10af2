"""Parts of an upload: files in; pieces that can be read apart, each some tens of megabytes of whole rows, out.

Where a part begins and ends follows from the file alone, never from who reads it: so whatever the number of shards,
every part gives the same rows, and what is merged in the order of the parts is the same to the last bit.
"""

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np

from modelmill.core.limits import MIB
from modelmill.frames.media import Media
from modelmill.frames.media.rows import link, read_media
from modelmill.frames.read.delimited import read_rows, sniff_file
from modelmill.frames.read.dialect import Dialect
from modelmill.frames.read.encoding import Encoding, detect
from modelmill.frames.read.file import read
from modelmill.frames.read.json_rows import json_shape, looks_like_json, read_json
from modelmill.frames.read.parquet import open_parquet, read_parquet
from modelmill.frames.read.reading import Reading
from modelmill.frames.read.source import sniff
from modelmill.frames.read.unpack import DataFile

SMALLEST, LARGEST = 24 * MIB, 128 * MIB
PARTS = 64
"""An upload has about so many parts, but for the limits of their size."""
_CHUNK = 8 * MIB
_QUOTE, _NEWLINE = ord('"'), ord("\n")
_SPLITTABLE = ("utf-8", "utf-8-sig", "gb18030", "cp1252")
"""In these the byte of a newline or of a quote is never part of another character."""
Layout = Literal["delimited", "json", "parquet", "whole"]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one file: bytes `start` to `end` of text, row groups of Parquet, or all of it where `layout` is whole."""

    file: DataFile
    layout: Layout
    start: int
    end: int
    encoding: Encoding | None = None
    dialect: Dialect | None = None


def part_bytes(size: int, smallest: int = SMALLEST) -> int:
    """How large the parts of an upload of `size` bytes are."""
    return max(smallest, min(LARGEST, size // PARTS))


def list_parts(files: Sequence[DataFile], smallest: int = SMALLEST) -> list[Part]:
    """The parts of an upload's tables, in order; raises what readers raise when they open a file.

    No part has fewer than `smallest` bytes, but for the last of a file: who asks for other parts gets another version.
    """
    size = part_bytes(sum(file.path.stat().st_size for file in files if file.kind == "table"), smallest)
    return [part for file in files for part in _parts_of(file, size)]


def media_parts(media: Media) -> list[Part]:
    """The parts of class folders of images or audio: one for each split that the folders give."""
    names = [(split, media.kind if split is None else f"{split}/") for split in media.splits or (None,)]
    return [Part(DataFile(media.folder, name, split, media.kind), "whole", 0, 0) for split, name in names]


def _parts_of(file: DataFile, size: int) -> Iterator[Part]:
    total = file.path.stat().st_size
    if file.kind != "table" or total <= size:
        yield Part(file, "whole", 0, total)
        return
    content = sniff(file.path)
    if content == "parquet":
        yield from _row_groups(file, size)
    elif content == "text":
        yield from _pieces_of_text(file, total, size)
    else:
        yield Part(file, "whole", 0, total)


def _row_groups(file: DataFile, size: int) -> Iterator[Part]:
    with open_parquet(file.path) as opened:
        sizes = [opened.metadata.row_group(index).total_byte_size for index in range(opened.metadata.num_row_groups)]
    start = bytes_so_far = 0
    for index, group in enumerate(sizes):
        bytes_so_far += group
        if bytes_so_far >= size or index == len(sizes) - 1:
            yield Part(file, "parquet", start, index + 1)
            start, bytes_so_far = index + 1, 0


def _pieces_of_text(file: DataFile, total: int, size: int) -> Iterator[Part]:
    encoding = detect(file.path)
    is_json = looks_like_json(file.path, encoding)
    if encoding.codec not in _SPLITTABLE or (is_json and json_shape(file.path, encoding) != "lines"):
        yield Part(file, "whole", 0, total)
        return
    layout: Layout = "json" if is_json else "delimited"
    dialect = None if layout == "json" else sniff_file(file.path, encoding, PurePath(file.name.lower()).suffix)
    quoting = "off" if dialect is None else dialect.quoting
    # However many blank lines stand before the header, the first part has it.
    first = 0 if dialect is None else dialect.skipped + len(codecs.BOM_UTF8)
    bounds = [bound for bound in boundaries(file.path, size, quoting) if bound > first]
    for start, end in zip([0, *bounds], [*bounds, total], strict=True):
        yield Part(file, layout, start, end, encoding, dialect)


def boundaries(path: Path, size: int, quoting: Literal["doubled", "escaped", "off"]) -> Iterator[int]:
    """Where pieces of about `size` bytes end: after the first newline outside quotes from each multiple of it on."""
    quotes, position, target = 0, 0, size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            data = np.frombuffer(chunk, np.uint8)
            while position + len(data) > target:
                ends = _row_ends(data, max(0, target - position), quotes, quoting)
                if ends is None:
                    break
                if position + ends < path.stat().st_size:
                    yield position + ends
                # At multiples of the size, so that pieces can be looked for side by side.
                target = max(target, position + ends) // size * size + size
            if quoting != "off":
                quotes += _quotes(data, quoting)
            position += len(data)


def _quotes(data: "np.ndarray[Any, np.dtype[np.uint8]]", quoting: str) -> int:
    count = int(np.count_nonzero(data == _QUOTE))
    return count - data.tobytes().count(b'\\"') if quoting == "escaped" else count


def _row_ends(data: "np.ndarray[Any, np.dtype[np.uint8]]", start: int, quotes: int, quoting: str) -> int | None:
    """The place after the first newline from `start` on that an even number of quotes precedes."""
    newlines = start + np.flatnonzero(data[start:] == _NEWLINE)
    if quoting == "off":
        return int(newlines[0]) + 1 if len(newlines) else None
    places = np.flatnonzero(data == _QUOTE)
    if quoting == "escaped":
        places = places[(places == 0) | (data[places - 1] != ord("\\"))]
    outside = (quotes + np.searchsorted(places, newlines)) % 2 == 0
    return int(newlines[outside][0]) + 1 if outside.any() else None


def read_part(part: Part, piece: Path, media: Media | None = None) -> Reading:
    """The rows of a part; numbers of rows count from 1 within it. Where it is a range of bytes, `piece` holds these.

    With the `media` of its upload they are rows of class folders, or cells that name files stand for these.
    """
    if media is None:
        return _read(part, piece)
    if part.file.kind != "table":
        return read_media(media, part.file.split)
    return link(media, _read(part, piece), part.file.name)


def _read(part: Part, piece: Path) -> Reading:
    file, encoding = part.file, part.encoding
    if part.layout == "whole" or encoding is None:
        if part.layout == "parquet":
            return read_parquet(file.path, range(part.start, part.end))
        return read(file.path, file.name)
    _copy(file.path, part.start, part.end, piece)
    if part.dialect is None:
        reading = read_json(piece, encoding, "lines")
    else:
        reading = read_rows(piece, encoding, part.dialect, header=part.start == 0)
    if part.start == 0:
        reading.warnings.extend((*encoding.warnings, *(part.dialect.warnings if part.dialect else ())))
    return reading


def _copy(source: Path, start: int, end: int, target: Path) -> None:
    with source.open("rb") as file, target.open("wb") as piece:
        file.seek(start)
        left = end - start
        while left and (chunk := file.read(min(left, _CHUNK))):
            piece.write(chunk)
            left -= len(chunk)
