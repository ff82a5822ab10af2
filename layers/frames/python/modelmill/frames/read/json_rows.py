"""JSON rows: JSON Lines, one array of objects, or a document that holds rows in; record batches of strings out.

Numbers keep their text, booleans are true or false. The members of an object are columns `a.b`, one level deep; what is
deeper, and lists, are their JSON. Columns may appear in any row.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from modelmill.core.errors import Rejected
from modelmill.core.limits import COLUMNS, MIB
from modelmill.frames.read.dialect import unique_names
from modelmill.frames.read.encoding import Encoding, open_utf8
from modelmill.frames.read.json_document import LARGEST_ROW, Value, array_values, document_values, rows_of
from modelmill.frames.read.reading import RAW_CHARACTERS, BadRow, Reading

Shape = Literal["lines", "array", "document"]
_BATCH_ROWS = 10_000
_BATCH_CHARACTERS = 32 * MIB


def looks_like_json(path: Path, encoding: Encoding) -> bool:
    """True if the text begins with a bracket or a brace."""
    with open_utf8(path, encoding) as stream:
        return stream.read(1024).lstrip()[:1] in (b"{", b"[")


def json_shape(path: Path, encoding: Encoding) -> Shape:
    """Whether JSON is one object per line, one array, or one document; only lines can be cut into parts."""
    with open_utf8(path, encoding) as stream:
        lines = (text for line in iter(lambda: stream.readline(LARGEST_ROW), b"") if (text := line.strip()))
        first, second = next(lines, b""), next(lines, b"")
    if first.startswith(b"["):
        return "array"
    row = _loads(first)
    if isinstance(row, dict):
        return "document" if not second and _holds_rows(row) else "lines"
    # A damaged first row, if the next one is a row; else an object over several lines.
    return "lines" if isinstance(_loads(second), dict) else "document"


def _holds_rows(document: dict[str, Any]) -> bool:
    try:
        return len(rows_of(document)) > 0
    except Rejected:
        return False


def read_json(path: Path, encoding: Encoding, shape: Shape | None = None) -> Reading:
    """Open a JSON file, or a piece of JSON Lines if `shape` is given; see `file.read` for what it raises."""
    reading = Reading()
    if (shape or json_shape(path, encoding)) == "lines":
        values = _line_values(path, encoding, reading.bad)
    else:
        values = _other_values(path, encoding, reading.bad)
    reading.batches = _batches(values)
    return reading


def _loads(line: bytes) -> Any:
    """The value of a line, None if it is none, or is cut because it is too long."""
    if len(line) >= LARGEST_ROW:
        return None
    try:
        return json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _line_values(path: Path, encoding: Encoding, bad: list[BadRow]) -> Iterator[Value]:
    number = 0
    with open_utf8(path, encoding) as stream:
        while line := stream.readline(LARGEST_ROW):
            if not line.strip():
                continue
            rest = line
            while len(rest) == LARGEST_ROW and not rest.endswith(b"\n"):
                rest = stream.readline(LARGEST_ROW)
            number += 1
            row = _loads(line)
            if isinstance(row, dict) and (flat := _flat(row)):
                yield flat, len(line)
            else:
                text = line[: 4 * RAW_CHARACTERS].decode("utf-8", "replace").strip()
                bad.append(BadRow(number, "bad_json", text[:RAW_CHARACTERS]))


def _other_values(path: Path, encoding: Encoding, bad: list[BadRow]) -> Iterator[Value]:
    with open_utf8(path, encoding) as stream:
        is_array = stream.peek(1024).lstrip().startswith(b"[")  # type: ignore[attr-defined]  # both kinds are buffered
        values = array_values(stream) if is_array else document_values(stream)
        for number, (row, size) in enumerate(values, start=1):
            if isinstance(row, dict) and (flat := _flat(row)):
                yield flat, size
            else:
                bad.append(BadRow(number, "bad_json", json.dumps(row, ensure_ascii=False)[:RAW_CHARACTERS]))


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row with the members of its objects as members of its own."""
    if dict not in map(type, row.values()):
        return row
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{inner}": item for inner, item in value.items()})
        else:
            flat[name] = value
    return flat


def _batches(values: Iterator[Value]) -> Iterator[pa.RecordBatch]:
    names: dict[str, None] = {}
    pending: list[dict[str, Any]] = []
    size = 0
    for row, characters in values:
        if not row.keys() <= names.keys():
            names.update(dict.fromkeys(row))
        if len(names) > COLUMNS:
            raise Rejected(
                "too_many_columns",
                f"the rows have more than {COLUMNS} different keys",
                limit=COLUMNS,
                hint="write objects whose keys are values, such as names or numbers, as lists",
            )
        pending.append(row)
        size += characters
        if len(pending) == _BATCH_ROWS or size > _BATCH_CHARACTERS:
            yield _batch(names, pending)
            pending, size = [], 0
    if pending:
        yield _batch(names, pending)


def _batch(names: dict[str, None], rows: list[dict[str, Any]]) -> pa.RecordBatch:
    columns = [_column([row.get(name) for row in rows]) for name in names]
    unique, _ = unique_names(list(names))
    return pa.RecordBatch.from_arrays(columns, names=list(unique))


def _column(values: list[Any]) -> pa.Array:
    """The texts of a column; one of one type, as most are, is not looked at value by value."""
    kinds = set(map(type, values))
    if kinds <= {int} or kinds <= {float}:
        return pa.array(map(repr, values), pa.large_string(), size=len(values))
    if kinds <= {str, type(None)}:
        try:
            return pa.array(values, pa.large_string())
        except UnicodeEncodeError:
            pass  # half of a surrogate pair
    return pa.array([_text(value) for value in values], pa.large_string())


def _text(value: Any) -> str | None:
    """Text of a value; half of a surrogate pair, which JSON can write and UTF-8 cannot, becomes a question mark."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode()
