"""Workbooks: the first table of one gives the rows that its CSV twin gives, within limits of time and memory."""

import io
import re
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from modelmill.core.errors import Rejected
from modelmill.frames.read import excel
from modelmill.frames.read.file import read
from modelmill.frames.read.unpack import Unpacked, unpack

NOON = datetime.fromisoformat("2024-02-29 12:30:00")
Rows = list[list[Any]]
WORKBOOKS = Path(__file__).parent / "workbooks"


def workbook(*sheets: Rows) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, start=1):
        sheet = book.create_sheet(f"Sheet{number}")
        for row in rows:
            sheet.append(row)
    return saved(book)


def saved(book: Any) -> bytes:
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def calc(rows: str) -> bytes:
    """An OpenDocument spreadsheet with these rows."""
    name = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<office:document-content xmlns:office="{name}:office:1.0" xmlns:table="{name}:table:1.0" '
        f'xmlns:text="{name}:text:1.0"><office:body><office:spreadsheet><table:table table:name="Sheet1">{rows}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as packed:
        packed.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        packed.writestr("content.xml", content)
        packed.writestr("META-INF/manifest.xml", "<manifest/>")
    return sink.getvalue()


def unpacked(folder: Path, content: bytes, name: str = "data.xlsx") -> Unpacked:
    path = folder / "upload"
    path.write_bytes(content)
    return unpack([(path, name)], folder / "unpacked")


def rows_of(result: Unpacked) -> list[dict[str, Any]]:
    [file] = result.files
    return [row for batch in read(file.path, file.name).batches for row in batch.to_pylist()]


def test_cells_have_the_text_of_their_csv_twin(tmp_path: Path) -> None:
    table: Rows = [
        ["text", "n", "flag", "day", "at", "hour", "span"],
        ['she said "no",\nthen left', 1, True, date(2024, 2, 29), NOON, time(1, 2, 3), None],
        ["多; 行", 2.5, False, None, None, None, timedelta(days=1, hours=2, minutes=3)],
        ["=1+1", -3e20, None, None, None, None, None],
    ]
    result = unpacked(tmp_path, workbook(table))
    assert result.warnings == []
    assert rows_of(result) == [
        {
            "text": 'she said "no",\nthen left',
            "n": "1",
            "flag": "true",
            "day": "2024-02-29",
            "at": "2024-02-29 12:30:00",
            "hour": "01:02:03",
            "span": "",
        },
        {"text": "多; 行", "n": "2.5", "flag": "false", "day": "", "at": "", "hour": "", "span": "26:03:00"},
        {"text": "", "n": "-3e+20", "flag": "", "day": "", "at": "", "hour": "", "span": ""},
    ]


def test_formulas_give_their_stored_values_and_errors_none(tmp_path: Path) -> None:
    content = workbook([["a", "b", "c"], ["=1+1", "x", "=1/0"], [1, "y", 2]])
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    sheet = re.sub(r"<f>1\+1</f><v ?/?>(</v>)?", "<f>1+1</f><v>2</v>", sheet)
    sheet = re.sub(r'<c r="C2">.*?</c>', '<c r="C2" t="e"><f>1/0</f><v>#DIV/0!</v></c>', sheet)
    parts["xl/worksheets/sheet1.xml"] = sheet.encode()
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as packed:
        for name, part in parts.items():
            packed.writestr(name, part)
    assert rows_of(unpacked(tmp_path, sink.getvalue())) == [
        {"a": "2", "b": "x", "c": ""},
        {"a": "1", "b": "y", "c": "2"},
    ]


def test_a_table_may_stand_anywhere(tmp_path: Path) -> None:
    table: Rows = [
        [None, "Sales of 2024"],
        [],
        [None, "a", None, "b"],
        [None, 1, None, "x"],
        [],
        [None, 2, None, "y"],
        [],
    ]
    other: Rows = [["c", "d"], [1, 2]]
    result = unpacked(tmp_path, workbook([], [["note"]], table, other))
    assert rows_of(result) == [{"a": "1", "b": "x"}, {"a": "", "b": ""}, {"a": "2", "b": "y"}]
    assert [(warning.code, warning.message) for warning in result.warnings] == [
        ("sheets_left_out", "only sheet 'Sheet3' was read, not 'Sheet4'")
    ]


def test_merged_cells_are_told(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["a", "b"], ["x", 1], ["x", 2]):
        book.active.append(row)
    book.active.merge_cells("A2:A3")
    result = unpacked(tmp_path, saved(book))
    assert rows_of(result) == [{"a": "x", "b": "1"}, {"a": "", "b": "2"}]
    assert [warning.code for warning in result.warnings] == ["merged_cells"]


def test_an_old_workbook_is_read(tmp_path: Path) -> None:
    result = unpacked(tmp_path, (WORKBOOKS / "old.xls").read_bytes(), "old.xls")
    assert rows_of(result) == [
        {"text": "good, really", "n": "1", "flag": "true", "day": "2024-02-29", "label": "yes"},
        {"text": 'she said "no"', "n": "2.5", "flag": "false", "day": "2024-03-01 12:30:00", "label": "no"},
        {"text": "多行", "n": "-3", "flag": "true", "day": "", "label": "no"},
    ]


def test_a_calc_sheet_is_read(tmp_path: Path) -> None:
    def row(*cells: str) -> str:
        return f"<table:table-row>{''.join(cells)}</table:table-row>"

    def text(value: str) -> str:
        return f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'

    number = '<table:table-cell office:value-type="float" office:value="1.5"><text:p>1,5</text:p></table:table-cell>'
    day = '<table:table-cell office:value-type="date" office:date-value="2024-02-29"></table:table-cell>'
    content = calc(row(text("a"), text("b"), text("c")) + row(text("x, y"), number, day))
    assert rows_of(unpacked(tmp_path, content)) == [{"a": "x, y", "b": "1.5", "c": "2024-02-29"}]


def test_a_workbook_in_an_archive_is_read(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as packed:
        packed.writestr("train.xlsx", workbook([["a", "b"], [1, "x"]]))
        packed.writestr("test.csv", "a,b\n2,y\n")
        packed.writestr("broken.xlsx", workbook([["a", "b"]])[:-40])
    result = unpacked(tmp_path, sink.getvalue(), "data.zip")
    assert [(file.name, file.split) for file in result.files] == [("test.csv", "test"), ("train.xlsx", "train")]
    assert [warning.code for warning in result.warnings] == ["files_left_out"]


def without_sheet(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as made:
        for name, part in parts.items():
            made.writestr(name, b"<worksheet><sheetData><row" if "sheet1" in name else part)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ((WORKBOOKS / "protected.xlsx").read_bytes(), "encrypted_file"),
        (workbook([]), "empty_file"),
        (workbook([["only a title"]], []), "empty_file"),
        (without_sheet(workbook([["a", "b"], [1, 2]])), "damaged_file"),
        ((WORKBOOKS / "old.xls").read_bytes()[:3_000], "damaged_file"),
        (calc("<table:table-row></table:table-cell>"), "damaged_file"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        unpacked(tmp_path, content)
    assert caught.value.code == code
    assert "CSV" in str(caught.value.hint)


def test_a_sheet_with_cells_far_apart_does_not_fill_the_memory(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "a", "b"
    with pytest.raises(Rejected) as caught:
        unpacked(tmp_path, saved(book))
    assert caught.value.code == "file_too_large"


def test_a_workbook_that_takes_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "WORKBOOK_SECONDS", 1)
    with pytest.raises(Rejected) as caught:
        unpacked(tmp_path, calc("<table:table-row"))  # the library never comes back from it
    assert (caught.value.code, caught.value.limit) == ("file_too_large", 1)
