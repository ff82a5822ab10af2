"""Readers of JSON: lines, arrays, objects and what is none of them."""

import json
from pathlib import Path

import pytest

from modelmill.core.errors import Rejected
from modelmill.frames.read import json_document
from modelmill.frames.read.encoding import detect
from modelmill.frames.read.json_rows import json_shape, read_json
from tests.unit.data.reading import exhausted, loaded


def test_bad_json_rows_keep_their_numbers(tmp_path: Path) -> None:
    lines = ['{"a": 1}', "{broken", "[1]", '{"b": {"deep": [true]}}', '{"a": true, "b": "\\ud800"}']
    file = loaded(tmp_path, "\n".join(lines))
    assert [(row.number, row.reason) for row in file.bad] == [(2, "bad_json"), (3, "bad_json")]
    assert file.table.to_pylist() == [
        {"a": "1", "b.deep": None, "b": None},
        {"a": None, "b.deep": "[true]", "b": None},
        {"a": "true", "b.deep": None, "b": "?"},
    ]


def test_json_array_larger_than_the_buffer(tmp_path: Path) -> None:
    rows = [{"text": "x" * 700_000 + str(number), "label": number % 2} for number in range(7)]
    table = loaded(tmp_path, json.dumps(rows)).table
    assert [text[-1] for text in table.column("text").to_pylist()] == list("0123456")


def test_objects_are_columns_one_level_deep(tmp_path: Path) -> None:
    rows = [{"user": {"name": "a", "at": {"city": "x"}}, "tags": [1, "b"], "n": 1}, {"user": None, "n": 2}]
    file = loaded(tmp_path, "\n".join(map(json.dumps, rows)))
    assert file.rows == [
        {"user.name": "a", "user.at": '{"city": "x"}', "tags": '[1, "b"]', "n": "1", "user": None},
        {"user.name": None, "user.at": None, "tags": None, "n": "2", "user": None},
    ]


def test_empty_objects_are_not_lost(tmp_path: Path) -> None:
    file = loaded(tmp_path, '{"a": 1, "b": 2}\n{}\n{"c": {}}\n{"a": 3, "b": 4}\n')
    assert [row.number for row in file.bad] == [2, 3]
    assert file.numbers == [1, 4]


def test_a_damaged_first_line_is_one_bad_row(tmp_path: Path) -> None:
    file = loaded(tmp_path, '{"a": 1, "b\n{"a": 1, "b": 2}\n')
    assert [(row.number, row.raw) for row in file.bad] == [(1, '{"a": 1, "b')]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('{"a": 1, "b": {"c": [', "not_a_data_file"),
        ('{"data": [{"a": 1}, {"a": 2}', "damaged_file"),
        ('[{"a": 1}, {"a": ', "damaged_file"),
        ('{\n"a": 1,\n"b": "x"\n}', "not_a_data_file"),
        ('{"x": {"a": 1},\n "y": {"a": 2}}', "not_a_data_file"),
    ],
)
def test_json_without_rows_is_refused(tmp_path: Path, content: str, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        loaded(tmp_path, content)
    assert caught.value.code == code
    assert "one object per line" in str(caught.value.hint)


def test_only_lines_can_be_cut(tmp_path: Path) -> None:
    path = tmp_path / "file"
    shapes = {
        '{"a": 1}\n\n{"a": 2}\n': "lines",
        '{"a": 1, "b": [1]}': "lines",
        '{"data": [{"a": 1}]}': "document",
        '{\n "a": 1\n}\n{\n "a": 2}': "document",
        ' [{"a": 1}]': "array",
    }
    for content, shape in shapes.items():
        path.write_text(content)
        assert json_shape(path, detect(path)) == shape
    path.write_text('[1]\n{"a": 1}\n')
    assert [row.number for row in exhausted(read_json(path, detect(path), "lines")).bad] == [1]


def test_a_long_wrapped_list_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_document, "LARGEST_ROW", 2 * 1024 * 1024)
    rows = [{"text": "x" * 700_000 + str(number), "label": number} for number in range(7)]
    assert loaded(tmp_path, json.dumps({"data": rows})).table.num_rows == 7
    with pytest.raises(Rejected):
        loaded(tmp_path, json.dumps({"columns": ["a"], "data": [["x" * 5_000_000]]}))
