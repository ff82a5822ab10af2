"""Nasty JSON, Parquet, Arrow and Feather files."""

import io
import json
import struct
import warnings
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from tests.hostile.data.cases import Cases, refused, reviews, taken


def objects(rows: int = 60) -> list[dict[str, Any]]:
    """Good rows."""
    return [{"review": text, "label": label} for text, label in reviews(rows)]


def lines(*more: str, rows: int = 60) -> bytes:
    """JSON Lines of good rows, and what is put after them."""
    return "\n".join([*map(json.dumps, objects(rows)), *more, ""]).encode("utf-8", "surrogatepass")


def columns(rows: int = 60) -> dict[str, Any]:
    """Good columns."""
    return {"review": [text for text, _ in reviews(rows)], "label": [label for _, label in reviews(rows)]}


def parquet(table: pa.Table | dict[str, Any], **options: Any) -> bytes:
    """A Parquet file."""
    sink = io.BytesIO()
    pa.parquet.write_table(table if isinstance(table, pa.Table) else pa.table(table), sink, **options)
    return sink.getvalue()


def arrow(table: pa.Table, *, stream: bool = False) -> bytes:
    """An Arrow file (Feather 2) or stream."""
    sink = io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def feather_1() -> bytes:
    """The first version of Feather."""
    sink = io.BytesIO()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # it is to go
        pa.feather.write_feather(pa.table(columns()), sink, version=1)
    return sink.getvalue()


def claims_rows() -> bytes:
    """A footer that says 2**40 rows where there are 60: the varint of the count is written over."""
    good = parquet(columns(), compression="none")
    (size,) = struct.unpack("<I", good[-8:-4])
    footer = good[-8 - size : -8]
    many = footer.replace(b"\x16\x78", b"\x16\x80\x80\x80\x80\x80\x40")  # zigzag of 60 -> of 2**40
    assert many != footer
    return good[: -8 - size] + many + struct.pack("<I", len(many)) + b"PAR1"


def nested() -> bytes:
    """Lists and structs beside good columns."""
    pairs = pa.array([[("k", 1)]] * 60, pa.map_(pa.string(), pa.int8()))
    extra = {"list": [[1, 2]] * 60, "struct": [{"a": {"b": 1}}] * 60, "map": pairs, "bytes": [b"\xff\0"] * 60}
    return parquet(columns() | extra)


def bomb() -> bytes:
    """2 GB of text that a dictionary of one cell makes of some kilobytes; the footer says that it is 1 MB."""
    cell = pa.DictionaryArray.from_arrays(pa.array([0] * 2_200, pa.int32()), pa.array(["x" * 900_000]))
    return parquet(pa.table({"review": cell, "label": ["yes", "no"] * 1_100}))


def types() -> pa.Table:
    """Columns of types that are no text."""
    table = pa.table(columns())
    label = table.column("label").dictionary_encode()
    table = table.set_column(1, "label", label)
    table = table.append_column("when", pa.array([2**62] * 60, pa.timestamp("ns")))
    table = table.append_column("money", pa.array([None] * 60, pa.decimal128(38, 10)))
    return table.append_column("half", pa.array([float("nan")] * 60, pa.float32()))


JSON: Cases = {
    "deep value": taken(
        lambda: lines('{"review": ' + "[" * 100_000 + ', "label": "yes"}'), 61, "data.jsonl", bad_json=1
    ),
    "deep array": refused(lambda: b"[" * 100_000, "damaged_file", file="data.json"),
    "deep objects": refused(lambda: b'{"a":' * 100_000, "not_a_data_file", file="data.json"),
    "key of half a pair": taken(
        lambda: lines('{"review": "a", "label": "yes", "\\ud83d": 1, "\\u001frow": 2}'), 61, "data.jsonl"
    ),
    "keys twice": taken(lambda: lines('{"review": "a", "review": "b", "label": "yes"}'), 61, "data.jsonl"),
    "huge integer": taken(
        lambda: lines('{"review": ' + "9" * 5_000 + ', "label": "yes"}'), 61, "data.jsonl", bad_json=1
    ),
    "huge exponent": taken(lambda: lines('{"review": 1e99999, "label": "no"}'), 61, "data.jsonl", no_usable_input=1),
    "half of a pair": taken(lambda: lines('{"review": "\\ud83d and \\udc00", "label": "yes"}'), 61, "data.jsonl"),
    "raw half of a pair": taken(lambda: lines('{"review": "\ud83d", "label": "yes"}'), 61, "data.jsonl"),
    "array never closed": refused(lambda: json.dumps(objects()).encode()[:-1], "damaged_file", file="data.json"),
    "object never closed": taken(lambda: lines('{"review": "a", "label": "yes"'), 61, "data.jsonl", bad_json=1),
    "array of arrays": refused(
        lambda: json.dumps([["a", "b"]] * 60).encode(),
        "too_few_rows",
        file="data.json",
    ),
    "array of scalars": refused(
        lambda: json.dumps([1, None, "x"] * 60).encode(),
        "too_few_rows",
        file="data.json",
    ),
    "scalars between": taken(lambda: lines("1", "null", '"x"', "[]", "true"), 65, "data.jsonl", bad_json=5),
    "not numbers": taken(
        lambda: lines('{"review": NaN, "label": "yes"}', '{"review": -Infinity, "label": "no"}'),
        62,
        "data.jsonl",
        no_usable_input=2,
    ),
    "a key per row": refused(
        lambda: "\n".join(f'{{"k{n}": 1}}' for n in range(3_000)).encode(), "too_many_columns", file="data.jsonl"
    ),
    "empty objects": refused(lambda: b"{}\n" * 500, "too_few_rows", file="data.jsonl"),
    "comments": refused(lambda: b"// rows\n" + lines(), "one_column", file="data.jsonl"),
    "objects without newline": taken(lambda: lines().replace(b"\n", b""), 60, "data.jsonl"),
    "line of 40 MB": taken(
        lambda: lines('{"review": "' + "x" * 40_000_000 + '", "label": "yes"}'), 61, "data.jsonl", bad_json=1
    ),
}
COLUMNS: Cases = {
    "parquet without its end": refused(lambda: parquet(columns())[:-30], "damaged_file"),
    "parquet with a wrong end": refused(lambda: parquet(columns())[:-4] + b"PAR2", "damaged_file"),
    "parquet with a wrong start": refused(lambda: b"PAX1" + parquet(columns())[4:], "not_a_data_file"),
    "parquet, encrypted footer": refused(lambda: b"PARE" + parquet(columns())[4:-4] + b"PARE", "encrypted_file"),
    "parquet that claims a trillion rows": refused(claims_rows, "damaged_file"),
    "parquet with noise in its pages": refused(
        lambda: parquet(columns())[:40] + b"\xa5" * 200 + parquet(columns())[240:], "damaged_file"
    ),
    "parquet of nested columns": taken(nested, 60),
    "parquet of odd types": taken(lambda: parquet(types()), 60),
    "parquet without columns": refused(lambda: parquet(pa.table({})), "empty_file"),
    "parquet without rows": refused(
        lambda: parquet({"a": pa.array([], pa.string()), "b": pa.array([], pa.int8())}), "empty_file"
    ),
    "parquet bomb": refused(bomb, "file_too_large"),
    "parquet with names twice": taken(
        lambda: parquet(
            pa.Table.from_arrays(
                [pa.array(columns()["review"]), pa.array(columns()["label"])], names=["label", "label"]
            )
        ),
        60,
    ),
    "arrow file": taken(lambda: arrow(types()), 60, "data.arrow"),
    "arrow stream": taken(lambda: arrow(types(), stream=True), 60, "data.arrows"),
    "arrow cut": refused(lambda: arrow(types())[:-50], "damaged_file", file="data.arrow"),
    "arrow stream cut": refused(lambda: arrow(types(), stream=True)[:900], "damaged_file", file="data.arrows"),
    "arrow with noise": refused(
        lambda: arrow(types())[:200] + b"\xff" * 300 + arrow(types())[500:], "damaged_file", file="data.arrow"
    ),
    "feather 1": refused(feather_1, "not_a_data_file", file="data.feather"),
}
CASES: Cases = {f"json: {name}": case for name, case in JSON.items()} | COLUMNS
