"""Readers: the same rows come out of every format, encoding and dialect."""

import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from modelmill.core.errors import Rejected
from modelmill.frames.read.encoding import detect, open_utf8
from modelmill.frames.read.parquet import read_parquet
from modelmill.frames.read.source import sniff
from tests.unit.data.reading import exhausted, loaded

ROWS: list[dict[str, Any]] = [
    {"text": "good, really", "n": 1, "label": "yes"},
    {"text": 'she said "no"', "n": 2, "label": "no"},
    {"text": "多行\nsecond line", "n": 3, "label": "no"},
    {"text": "plain", "n": None, "label": "yes"},
]


def delimited(delimiter: str) -> str:
    cells = [["text", "n", "label"], *([row["text"], str(row["n"] or ""), row["label"]] for row in ROWS)]
    lines = [delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells]
    return "\r\n".join(lines) + "\r\n"


def parquet() -> bytes:
    sink = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue()


def cells() -> list[list[Any]]:
    return [list(row.values()) for row in ROWS]


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as file:
        file.write(content)
    return bytes(sink.getvalue())


def arrow(open_writer: Callable[..., Any], table: pa.Table | None = None) -> bytes:
    sink = io.BytesIO()
    table = table or pa.Table.from_pylist(ROWS)
    with open_writer(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def feather() -> bytes:
    sink = io.BytesIO()
    pa.feather.write_feather(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue()


FORMATS: dict[str, Callable[[], str | bytes]] = {
    "csv": lambda: delimited(","),
    "tsv": lambda: delimited("\t"),
    "semicolon": lambda: delimited(";"),
    "bar": lambda: delimited("|"),
    "csv.gz": lambda: gzip.compress(delimited(",").encode()),
    "csv.zst": lambda: zstd(delimited(",").encode()),
    "utf-8-sig": lambda: delimited(",").encode("utf-8-sig"),
    "utf-16": lambda: delimited(",").encode("utf-16"),
    "utf-16-le": lambda: delimited(",").encode("utf-16-le"),
    "gb18030": lambda: delimited(",").encode("gb18030"),
    "jsonl": lambda: "\n".join(json.dumps(row) for row in ROWS),
    "jsonl.gz": lambda: gzip.compress("\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode()),
    "json array": lambda: json.dumps(ROWS, indent=2),
    "jsonl with a mark": lambda: "\n".join(json.dumps(row) for row in ROWS).encode("utf-8-sig"),
    "json objects": lambda: "\n".join(json.dumps(row, indent=2) for row in ROWS),
    "json wrapped": lambda: json.dumps({"data": ROWS}),
    "json wrapped late": lambda: json.dumps(
        {"count": 4, "next": None, 'a"': "}[{", "results": ROWS, "end": 1}, indent=1
    ),
    "json split": lambda: json.dumps({"columns": list(ROWS[0]), "index": [0, 1, 2, 3], "data": cells()}),
    "json columns": lambda: json.dumps({n: {str(i): row[n] for i, row in enumerate(ROWS)} for n in ROWS[0]}),
    "json index": lambda: json.dumps({str(i): row for i, row in enumerate(ROWS)}),
    "json lists": lambda: json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}),
    "parquet": parquet,
    "arrow file": lambda: arrow(pa.ipc.new_file),
    "arrow stream": lambda: arrow(pa.ipc.new_stream),
    "feather": feather,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_content(tmp_path: Path, name: str) -> None:
    file = loaded(tmp_path, FORMATS[name]())
    expected = [row | {"n": None if row["n"] is None else str(row["n"])} for row in ROWS]
    assert file.rows == expected


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    assert loaded(tmp_path, parquet(), "data.csv").table.num_rows == len(ROWS)
    assert loaded(tmp_path, json.dumps(ROWS), "data.parquet").table.num_rows == len(ROWS)


def test_unbalanced_quotes_are_characters(tmp_path: Path) -> None:
    lines = ["text\tlabel", '"oh no\t0', "fine\t1", 'a " b\t0', 'it is 5" long\t1', '" extreme " ops\t1']
    table = loaded(tmp_path, "\n".join(lines), "data.tsv").table
    assert table.column("text").to_pylist() == ['"oh no', "fine", 'a " b', 'it is 5" long', '" extreme " ops']


def test_quotes_that_a_program_wrote_hold_lines(tmp_path: Path) -> None:
    """Read without quotes, every line of this file has two cells as well."""
    cells = [f'He said "no", {row}\nand left' for row in range(30)]
    lines = ['"' + cell.replace('"', '""') + '",n' for cell in cells]
    assert [row["x"] for row in loaded(tmp_path, "x,label\r\n" + "\r\n".join(lines)).rows] == cells
    stray = "x\tlabel\n" + '"It is\t1\na film"\t0\n' * 20
    assert [row["x"] for row in loaded(tmp_path, stray, "upload.tsv").rows] == ['"It is', 'a film"'] * 20


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
    assert file.numbers == [1, 3, 5]
    assert file.table.column("b").to_pylist() == ["x", "y", "w"]


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


def test_decimal_commas_are_read_where_they_are_written(tmp_path: Path) -> None:
    data = loaded(tmp_path, "preis;menge;art\n1.234,50;0,125;neu\n7,5;12.000;alt\n-3;;neu\n")
    assert data.table.column("preis").to_pylist() == ["1234.50", "7.5", "-3"]
    assert data.table.column("menge").to_pylist() == ["0.125", "12000", ""]
    assert [warning.code for warning in data.warnings] == ["decimal_comma"]


def test_amounts_and_shares_have_decimal_commas_too(tmp_path: Path) -> None:
    data = loaded(tmp_path, "miete;rabatt;q\n1.234,50 €;5,5%;1\n€ 480,25;12 %;2,5\n-€7,00;ca. 5,5 %;3\n")
    assert data.table.column("miete").to_pylist() == ["1234.50 €", "€ 480.25", "-€7.00"]
    assert data.table.column("rabatt").to_pylist() == ["5.5%", "12 %", "ca. 5,5 %"]


def test_commas_of_amounts_alone_tell(tmp_path: Path) -> None:
    data = loaded(tmp_path, "miete;art\n1.234,50 €;neu\n480,25 €;alt\n")
    assert data.table.column("miete").to_pylist() == ["1234.50 €", "480.25 €"]
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


def typed() -> pa.Table:
    at = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
    return pa.table(
        {
            "decimal": pa.array([Decimal("1.50"), None]),
            "at": pa.array([at, None], pa.timestamp("us", "Asia/Shanghai")),
            "naive": pa.array([at.replace(tzinfo=None), None], pa.timestamp("s")),
            "day": pa.array([date(2024, 2, 29), None]),
            "word": pa.array(["a", None]).dictionary_encode(),
            "flag": pa.array([True, None]),
            "s": pa.array([{"x": 1, "y": [1]}, None]),
            "many": pa.array([[1], None]),
        }
    )


def typed_parquet() -> bytes:
    sink = io.BytesIO()
    pa.parquet.write_table(typed(), sink)
    return sink.getvalue()


@pytest.mark.parametrize("content", [typed_parquet, lambda: arrow(pa.ipc.new_file, typed())])
def test_types_have_one_text(tmp_path: Path, content: Callable[[], bytes]) -> None:
    file = loaded(tmp_path, content())
    expected = {
        "decimal": "1.50",
        "at": "2024-02-29 12:30:00Z",
        "naive": "2024-02-29 12:30:00",
        "day": "2024-02-29",
        "word": "a",
        "flag": "true",
        "s.x": "1",
    }
    assert file.table.to_pylist() == [expected, dict.fromkeys(expected)]
    assert [warning.message for warning in file.warnings] == ["hold lists, structures or bytes; left out: s.y, many"]


def test_arrow_with_offsets_that_lead_astray_is_refused(tmp_path: Path) -> None:
    content = arrow(pa.ipc.new_stream, pa.table({"a": ["abc"], "b": ["x"]}))
    offsets = np.array([0, 3], np.int32).tobytes()
    assert offsets in content
    with pytest.raises(Rejected) as caught:
        loaded(tmp_path, content.replace(offsets, np.array([0, 1 << 30], np.int32).tobytes()))
    assert caught.value.code == "damaged_file"


def test_cut_files_are_refused(tmp_path: Path) -> None:
    for content in (parquet()[:-20], arrow(pa.ipc.new_file)[:-20], arrow(pa.ipc.new_stream)[:-200]):
        with pytest.raises(Rejected) as caught:
            loaded(tmp_path, content)
        assert caught.value.code == "damaged_file"


def test_feather_1_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="write version 2"):
        loaded(tmp_path, b"FEA1" + bytes(100))


def test_row_groups_are_pieces_of_parquet(tmp_path: Path) -> None:
    path = tmp_path / "file"
    pa.parquet.write_table(pa.table({"a": range(10), "b": range(10)}), path, row_group_size=3)
    pieces = [exhausted(read_parquet(path, groups)) for groups in (range(1), range(1, 3), range(3, 4))]
    assert [piece.table.num_rows for piece in pieces] == [3, 6, 1]
    assert pa.concat_tables(piece.table for piece in pieces) == exhausted(read_parquet(path)).table


@pytest.mark.parametrize("cut", range(1, 9))
def test_characters_that_chunks_cut_are_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    monkeypatch.setattr("modelmill.frames.read.encoding._CHUNK", cut)
    path = tmp_path / "file"
    path.write_text("a,b\né多😀,\u07ff\uffff\n" * 3)
    assert detect(path).codec == "utf-8-sig"
    assert detect(path).warnings == ()
    for damage in (b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\x80", b"\xf5\x80\x80\x80", b"\xf0\x9f\x98"):
        path.write_bytes("多é".encode() * 20 + damage + b"\n")
        assert detect(path).warnings
        path.write_bytes("多é".encode() * 20 + damage)
        assert detect(path).warnings


def test_utf_8_is_passed_through_without_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"\xef\xbb\xbfa,b\n", b"a,b\n"):
        path.write_bytes(content)
        with open_utf8(path, detect(path)) as stream:
            assert stream.read() == b"a,b\n"


def test_parquet_that_promises_more_rows_than_it_has_is_refused(tmp_path: Path) -> None:
    content = parquet()
    head, footer = content[: content.index(b"schema") - 20], content[content.index(b"schema") - 20 :]
    with pytest.raises(Rejected, match="cannot be read"):
        loaded(tmp_path, head + footer.replace(b"\x16\x08", b"\x16\x7e"))


def test_blank_lines_may_stand_before_a_table(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("\n" * 200_000 + "a,b\n1,x\n")
    assert sniff(tmp_path / "table") == "text"
    with pytest.raises(Rejected) as caught:
        loaded(tmp_path, "\n" * 200_000)
    assert caught.value.code == "empty_file"


def test_utf_32_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="UTF-32"):
        loaded(tmp_path, "a,b\n1,x\n".encode("utf-32"))
