"""JSON rows: JSON Lines or one array of objects in, record batches of strings out.

Numbers keep their text, booleans are true or false, nested values are their JSON. Columns may appear in any row.
"""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from modelmill.core.errors import Rejected
from modelmill.core.limits import COLUMNS, MIB
from modelmill.frames.read.dialect import unique_names
from modelmill.frames.read.encoding import Encoding, open_utf8
from modelmill.frames.read.reading import RAW_CHARACTERS, BadRow, Reading

_BATCH_ROWS = 10_000
_LARGEST_ROW = 32 * MIB
_HINT = 'write one object per line, {"text": "...", "label": "..."}, or one array of such objects'
_GAP = re.compile(r"[\s,]*")


def read_json(path: Path, encoding: Encoding) -> Reading:
    """Open JSON Lines or a JSON array; see `readers.read` for what it raises."""
    reading = Reading()
    with open_utf8(path, encoding) as stream:
        is_array = stream.read(1024).lstrip().startswith(b"[")
    rows = _array_rows if is_array else _line_rows
    reading.batches = _batches(rows(path, encoding, reading.bad))
    return reading


def _line_rows(path: Path, encoding: Encoding, bad: list[BadRow]) -> Iterator[dict[str, Any]]:
    number = 0
    with open_utf8(path, encoding) as stream:
        while line := stream.readline(_LARGEST_ROW):
            text = line.decode("utf-8", "replace").strip()
            if not text:
                continue
            number += 1
            try:
                row = json.loads(text)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                yield row
            elif number == 1:
                raise Rejected("not_a_data_file", "the first line is not a JSON object", hint=_HINT)
            else:
                bad.append(BadRow(number, "bad_json", text[:RAW_CHARACTERS]))


def _array_rows(path: Path, encoding: Encoding, bad: list[BadRow]) -> Iterator[dict[str, Any]]:
    number = 0
    with open_utf8(path, encoding) as stream:
        for value in _array_values(stream):
            number += 1
            if isinstance(value, dict):
                yield value
            else:
                bad.append(BadRow(number, "bad_json", json.dumps(value, ensure_ascii=False)[:RAW_CHARACTERS]))


def _array_values(stream: BinaryIO) -> Iterator[Any]:
    """The items of one JSON array, decoded one by one from a sliding buffer."""
    decoder, utf8 = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")("replace")
    buffer, position, step = utf8.decode(stream.read(MIB)).lstrip()[1:], 0, MIB
    while True:
        position = _GAP.match(buffer, position).end()  # type: ignore[union-attr]  # the pattern matches nothing, too
        if buffer[position : position + 1] == "]":
            return
        try:
            value, end = decoder.raw_decode(buffer, position)
            # A number at the buffer's end may go on.
            whole = end < len(buffer)
        except (ValueError, RecursionError):
            whole = False
        if whole:
            yield value
            position, step = end, MIB
            continue
        more = stream.read(step)
        if not more or len(buffer) - position > _LARGEST_ROW:
            raise Rejected("damaged_file", "the JSON array is damaged or not closed", hint=_HINT)
        # Twice as much each time, so that a large item is not decoded again and again.
        buffer, position, step = buffer[position:] + utf8.decode(more), 0, 2 * step


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    names: dict[str, None] = {}
    pending: list[dict[str, Any]] = []
    for row in rows:
        names.update(dict.fromkeys(row))
        if len(names) > COLUMNS:
            raise Rejected("too_many_columns", f"the rows have more than {COLUMNS} different keys", limit=COLUMNS)
        pending.append(row)
        if len(pending) == _BATCH_ROWS:
            yield _batch(names, pending)
            pending = []
    if pending:
        yield _batch(names, pending)


def _batch(names: dict[str, None], rows: list[dict[str, Any]]) -> pa.RecordBatch:
    columns = [pa.array([_clean_text(row.get(name)) for row in rows], pa.large_string()) for name in names]
    unique, _ = unique_names(list(names))
    return pa.RecordBatch.from_arrays(columns, names=list(unique))


def _clean_text(value: Any) -> str | None:
    """Text of a value; half of a surrogate pair, which JSON can write and UTF-8 cannot, becomes a question mark."""
    text = _text(value)
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode()
