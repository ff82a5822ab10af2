"""JSON that is not one object per line: a stream of UTF-8 in; its values, one by one, and their lengths out.

An array of any length, the same inside an object (`{"count": 2, "data": [...]}`), objects one after the other; and, up
to 32 MiB, what pandas and others write: orient split, columns or index, and columns as lists.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from modelmill.core.errors import Rejected
from modelmill.core.limits import MIB

LARGEST_ROW = 32 * MIB
HINT = 'write one object per line, {"text": "...", "label": "..."}, or one array of such objects'
_GAP = re.compile(r"[\s,]*+")
_STRING = r'"(?:[^"\\]|\\.)*+"'
# An object whose first members are plain values, up to the first that is a list of objects.
_WRAPPED = re.compile(rf"\s*+\{{\s*+(?:{_STRING}\s*:\s*(?:{_STRING}|[-+.\w]++)\s*,\s*)*+{_STRING}\s*:\s*\[(?=\s*\{{)")
_DECODER = json.JSONDecoder()
Value = tuple[Any, int]


class _Text:
    """A stream as text of which a part is in `buffer`; bad bytes are U+FFFD."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._utf8 = stream, codecs.getincrementaldecoder("utf-8")("replace")
        self.buffer = ""
        self.fill(MIB)

    def fill(self, size: int) -> bool:
        more = self._stream.read(size)
        self.buffer += self._utf8.decode(more, final=not more)
        return bool(more)


def array_values(stream: BinaryIO) -> Iterator[Value]:
    """The items of one JSON array; raises Rejected if it is not closed."""
    text = _Text(stream)
    yield from _values(text, text.buffer.index("[") + 1, end="]")


def document_values(stream: BinaryIO) -> Iterator[Value]:
    """The rows that an object holds, or the objects that follow each other; raises Rejected if there are none."""
    text = _Text(stream)
    if wrapped := _WRAPPED.match(text.buffer):
        yield from _values(text, wrapped.end(), end="]")
        return
    while len(text.buffer) <= LARGEST_ROW and text.fill(MIB):
        pass
    start = _GAP.match(text.buffer).end()  # type: ignore[union-attr]  # the pattern matches nothing, too
    try:
        value, end = _DECODER.raw_decode(text.buffer, start)
    except (ValueError, RecursionError) as error:
        raise Rejected("not_a_data_file", f"the file is no JSON: {str(error)[:100]}", hint=HINT) from None
    if text.buffer[end:].strip():
        yield from _values(text, start, end="")
    else:
        yield from ((row, end - start) for row in rows_of(value))


def _values(text: _Text, position: int, end: str) -> Iterator[Value]:
    """Values from a place on to the closing `end`, or the end of the stream, decoded one by one."""
    step = MIB
    while True:
        position = _GAP.match(text.buffer, position).end()  # type: ignore[union-attr]  # see above
        if end and text.buffer[position : position + 1] == end:
            return
        try:
            value, stop = _DECODER.raw_decode(text.buffer, position)
            # A number at the buffer's end may go on.
            whole = stop < len(text.buffer) or not end
        except (ValueError, RecursionError):
            whole = False
        if whole:
            yield value, stop - position
            position, step = stop, MIB
            continue
        text.buffer, position = text.buffer[position:], 0
        too_long = len(text.buffer) > LARGEST_ROW
        if not too_long and text.fill(step):
            # Twice as much each time, so that a large item is not decoded again and again.
            step *= 2
        elif end or text.buffer:
            raise Rejected("damaged_file", "the JSON is damaged or not closed", hint=HINT)
        else:
            return


def rows_of(document: Any) -> list[dict[str, Any]]:
    """The rows of a document that is no array; raises Rejected if it has no form that is known."""
    if isinstance(document, dict):
        lists = [value for value in document.values() if isinstance(value, list) and value]
        of_objects = [value for value in lists if all(isinstance(item, dict) for item in value)]
        if len(of_objects) == 1:
            return list(of_objects[0])
        names, data = document.get("columns"), document.get("data")
        if isinstance(names, list) and isinstance(data, list) and all(isinstance(row, list) for row in data):
            return [dict(zip(map(str, names), row, strict=False)) for row in data]
        if len(lists) == len(document) > 1 and len(set(map(len, lists))) == 1:
            return [dict(zip(document, row, strict=True)) for row in zip(*lists, strict=True)]
        inner = [value for value in document.values() if isinstance(value, dict) and value]
        if len(inner) == len(document) > 0:
            return _rows_by_index(document)
    raise Rejected("not_a_data_file", "the JSON holds no list of objects", hint=HINT)


def _rows_by_index(document: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Of pandas' orient columns, {"a": {"0": 1, "1": 2}}, or index, {"0": {"a": 1}, "1": {"a": 2}}."""
    numbers = list(next(iter(document.values())))
    if all(number.isdecimal() for number in numbers):
        return [{name: column.get(number) for name, column in document.items()} for number in numbers]
    if all(number.isdecimal() for number in document):
        return list(document.values())
    raise Rejected("not_a_data_file", "the JSON holds no list of objects", hint=HINT)
