"""Readers: the same rows come out of every format, encoding and dialect."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from modelmill.core.errors import Rejected
from modelmill.frames.prepare import Loaded, load
from tests.unit.data.files import zipped

ROWS: list[dict[str, Any]] = [
    {"text": "good, really", "n": 1, "label": "yes"},
    {"text": 'she said "no"', "n": 2, "label": "no"},
    {"text": "多行\nsecond line", "n": 3, "label": "no"},
    {"text": "plain", "n": None, "label": "yes"},
]


def loaded(folder: Path, content: str | bytes, name: str = "upload") -> Loaded:
    path = folder / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(path, name)


def delimited(delimiter: str) -> str:
    cells = [["text", "n", "label"], *([row["text"], str(row["n"] or ""), row["label"]] for row in ROWS)]
    lines = [delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells]
    return "\r\n".join(lines) + "\r\n"


def parquet() -> bytes:
    sink = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue()


FORMATS: dict[str, Callable[[], str | bytes]] = {
    "csv": lambda: delimited(","),
    "tsv": lambda: delimited("\t"),
    "semicolon": lambda: delimited(";"),
    "bar": lambda: delimited("|"),
    "csv.gz": lambda: zipped(delimited(",")),
    "utf-8-sig": lambda: delimited(",").encode("utf-8-sig"),
    "utf-16": lambda: delimited(",").encode("utf-16"),
    "utf-16-le": lambda: delimited(",").encode("utf-16-le"),
    "gb18030": lambda: delimited(",").encode("gb18030"),
    "jsonl": lambda: "\n".join(json.dumps(row) for row in ROWS),
    "jsonl.gz": lambda: zipped("\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)),
    "json array": lambda: json.dumps(ROWS, indent=2),
    "parquet": parquet,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_content(tmp_path: Path, name: str) -> None:
    file = loaded(tmp_path, FORMATS[name]())
    expected = [row | {"n": None if row["n"] is None else str(row["n"])} for row in ROWS]
    assert file.table.to_pylist() == expected
    assert file.content() == loaded(tmp_path, FORMATS["csv"]()).content()


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    assert loaded(tmp_path, parquet(), "data.csv").read == len(ROWS)
    assert loaded(tmp_path, json.dumps(ROWS), "data.parquet").read == len(ROWS)


def test_unbalanced_quotes_are_characters(tmp_path: Path) -> None:
    lines = ["text\tlabel", '"oh no\t0', "fine\t1", 'a " b\t0', 'it is 5" long\t1', '" extreme " ops\t1']
    table = loaded(tmp_path, "\n".join(lines), "data.tsv").table
    assert table.column("text").to_pylist() == ['"oh no', "fine", 'a " b', 'it is 5" long', '" extreme " ops']


def test_backslashes_can_escape_quotes(tmp_path: Path) -> None:
    lines = ["text,label", *(f'"he said \\"{word}, you\\" twice",{word}' for word in ("yes", "no", "so"))]
    table = loaded(tmp_path, "\n".join(lines)).table
    assert table.column("text").to_pylist()[0] == 'he said "yes, you" twice'


def test_windows_1252_is_the_last_resort(tmp_path: Path) -> None:
    file = loaded(tmp_path, "text,label\ncosts £100,a\ncafé crème,b\n".encode("cp1252"))
    assert file.table.column("text").to_pylist() == ["costs £100", "café crème"]
    assert [warning.code for warning in file.warnings] == ["encoding_guessed"]


def test_a_few_bad_bytes_do_not_change_the_encoding(tmp_path: Path) -> None:
    content = "text,label\n" + "很好的酒店,a\n" * 20
    file = loaded(tmp_path, content.encode() + b"bad \xff byte,b\n")
    assert file.table.column("text").to_pylist()[-2:] == ["很好的酒店", "bad \ufffd byte"]


def test_ragged_rows_keep_their_numbers(tmp_path: Path) -> None:
    lines = ["a,b", "1,x", "2", '"two\nlines",y', "3,z,too,many", "", "4,w"]
    file = loaded(tmp_path, "\n".join(lines))
    assert [(row.number, row.reason, row.raw) for row in file.bad] == [
        (2, "ragged_row", "2"),
        (4, "ragged_row", "3,z,too,many"),
    ]
    assert file.numbers.tolist() == [1, 3, 5]
    assert file.table.column("b").to_pylist() == ["x", "y", "w"]


def test_bad_json_rows_keep_their_numbers(tmp_path: Path) -> None:
    lines = ['{"a": 1}', "{broken", "[1]", '{"b": {"deep": [true]}}', '{"a": true, "b": "\\ud800"}']
    file = loaded(tmp_path, "\n".join(lines))
    assert [(row.number, row.reason) for row in file.bad] == [(2, "bad_json"), (3, "bad_json")]
    assert file.table.to_pylist() == [
        {"a": "1", "b": None},
        {"a": None, "b": '{"deep": [true]}'},
        {"a": "true", "b": None},
    ]


def test_json_array_larger_than_the_buffer(tmp_path: Path) -> None:
    rows = [{"text": "x" * 700_000 + str(number), "label": number % 2} for number in range(7)]
    table = loaded(tmp_path, json.dumps(rows)).table
    assert [text[-1] for text in table.column("text").to_pylist()] == list("0123456")


def test_names_are_made_unique(tmp_path: Path) -> None:
    file = loaded(tmp_path, "a, a ,,b\nq,w,e,r\n")
    assert file.table.column_names == ["a", "a_2", "column_3", "b"]
    assert [warning.code for warning in file.warnings] == ["column_renamed"]


def test_parquet_leaves_out_what_is_not_flat(tmp_path: Path) -> None:
    sink = io.BytesIO()
    columns = {"a": [1.0, 2.5], "flag": [True, None], "many": [[1], [2]], "raw": [b"\x00", b"\xff"]}
    pa.parquet.write_table(pa.table(columns), sink)
    file = loaded(tmp_path, sink.getvalue())
    assert file.table.to_pylist() == [{"a": "1", "flag": "true"}, {"a": "2.5", "flag": None}]
    assert file.warnings[0].code == "columns_unreadable"
    assert file.warnings[0].message.endswith("many, raw")


def test_cells_are_trimmed_and_missing_ones_found(tmp_path: Path) -> None:
    table = loaded(tmp_path, "a, b ,c\n  x , ?,NA\n\u3000y\u00a0,-,\\N\nz,null,  \n").table
    assert table.to_pylist() == [{"a": value, "b": None, "c": None} for value in "xyz"]


def test_decimal_commas_are_read_where_they_are_written(tmp_path: Path) -> None:
    data = loaded(tmp_path, "preis;menge;art\n1.234,50;0,125;neu\n7,5;12.000;alt\n-3;;neu\n")
    assert data.table.column("preis").to_pylist() == ["1234.50", "7.5", "-3"]
    assert data.table.column("menge").to_pylist() == ["0.125", "12000", None]
    assert [warning.code for warning in data.warnings] == ["decimal_comma"]


@pytest.mark.parametrize("cell", ["1,234", "2.5"])
def test_other_commas_stay(tmp_path: Path, cell: str) -> None:
    data = loaded(tmp_path, f"x;y;z\n{cell};1,234;0.5\n{cell};a;b\n")
    assert data.table.column("y").to_pylist() == ["1,234", "a"]
    assert data.warnings == []


def test_a_column_may_have_the_name_of_one_of_its_values(tmp_path: Path) -> None:
    rows = "".join(f"{n},{n * 2.5},{('married', 'single')[n % 2]},x{n},0\n" for n in range(30))
    assert loaded(tmp_path, f"nr,pay,married,job,kids\n{rows}").table.num_rows == 30
    texts = "".join(f"one of some longer texts {n},{('spam', 'ham')[n % 2]}\n" for n in range(30))
    assert loaded(tmp_path, f"message,spam\n{texts}").table.column_names == ["message", "spam"]
    with pytest.raises(Rejected, match="looks like data"):
        loaded(tmp_path, "good stuff,pos\n" + "".join(f"text {n},{('pos', 'neg')[n % 2]}\n" for n in range(30)))
