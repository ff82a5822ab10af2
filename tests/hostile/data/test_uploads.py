"""Hostile and hopeless uploads: each ends in its stable code, with a hint, without a crash and without much memory."""

import gzip
import io
import json
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmill.core.errors import Rejected
from modelmill.core.limits import COLUMNS, RECIPE_BYTES
from modelmill.frames.read import extract, flat
from modelmill.frames.recipe_file import read_recipe
from tests.unit.data.files import prepared, reviews_csv, zipped


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def table(rows: dict[str, list[object]]) -> bytes:
    sink = io.BytesIO()
    pa.parquet.write_table(pa.table(rows), sink)
    return sink.getvalue()


def lines(*rows: str, times: int = 1) -> str:
    return "\n".join(rows[:1] + rows[1:] * times)


FILES: dict[str, tuple[str, Callable[[], str | bytes]]] = {
    "nothing": ("empty_file", lambda: b""),
    "white space": ("empty_file", lambda: " \n\r\n\t"),
    "mark only": ("empty_file", lambda: b"\xef\xbb\xbf"),
    "gzip of nothing": ("empty_file", lambda: zipped("")),
    "header only": ("empty_file", lambda: "text,label\n"),
    "empty array": ("empty_file", lambda: "[]"),
    "empty parquet": ("empty_file", lambda: table({"text": [], "label": []})),
    "png": ("not_a_data_file", png),
    "pdf": ("not_a_data_file", lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj"),
    "program": ("not_a_data_file", lambda: b"\x7fELF\x02\x01\x01" + bytes(60)),
    "windows program": ("not_a_data_file", lambda: b"MZ\x90\x00\x03" + bytes(60)),
    "zip": ("damaged_file", lambda: b"PK\x03\x04\x14\x00" + b"data.csv" * 9),
    "pickle": ("not_a_data_file", lambda: b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n"),
    "web page": ("not_a_data_file", lambda: "\n<!DOCTYPE html><html><body>a,b\n1,2</body></html>"),
    "noise": ("not_a_data_file", lambda: random.Random(1).randbytes(5_000)),
    "gzip in gzip": ("nested_archive", lambda: gzip.compress(zipped(reviews_csv()))),
    "json string lines": ("not_a_data_file", lambda: '{"a": 1\n{"a": 2\n'),
    "prose": ("not_a_data_file", lambda: lines("one, two", *("word, " * n + "end" for n in range(3, 40)))),
    "cut gzip": ("damaged_file", lambda: zipped(reviews_csv(600))[:-900]),
    "broken gzip": ("damaged_file", lambda: b"\x1f\x8b\x08" + b"\x07" * 90),
    "cut parquet": ("damaged_file", lambda: table({"a": [1, 2], "b": [3, 4]})[:-20]),
    "parquet in name": ("damaged_file", lambda: b"PAR1" + bytes(100) + b"PAR1"),
    "open array": ("damaged_file", lambda: '[{"a": 1}, {"a":'),
    "deep array": ("damaged_file", lambda: "[" * 200_000),
    "one column": ("one_column", lambda: lines("text", "hello, world", "good bye", times=30)),
    "one column parquet": ("one_column", lambda: table({"text": ["a", "b"] * 30})),
    "one json key": ("one_column", lambda: '{"text": "a"}\n' * 30),
    "no header": ("no_header", lambda: lines("5.1,3.5,setosa", "4.9,3.0,setosa", "6.2,2.9,virginica", times=20)),
    "no header, text": ("no_header", lambda: lines("spam,you win now", "ham,see you", "spam,free now", times=20)),
    "one class": ("one_class", lambda: lines("text,label", *(f"some words {n},yes" for n in range(40)))),
    "one class left": ("one_class", lambda: lines("n,label", *(f"{n}.5,yes" for n in range(40)), "0.5,no")),
    "no values": ("missing_target", lambda: lines("text,label", *(f"some words {n}," for n in range(40)))),
    "keys only": ("missing_target", lambda: lines("a,b", *(f"k{n}x,v{n}y" for n in range(40)))),
    "label per row": ("too_many_classes", lambda: lines("text,label", *(f"some words {n},l{n}" for n in range(90)))),
    "ten rows": ("too_few_rows", lambda: reviews_csv(10)),
    "measure of keys": ("no_usable_input", lambda: lines("a,price", *(f"{n},{n * 1.37:.2f}" for n in range(90)))),
    "wide": ("too_many_columns", lambda: lines(",".join(f"c{n}" for n in range(COLUMNS + 1)), "1")),
    "wide json": ("too_many_columns", lambda: json.dumps([{f"c{n}": 1} for n in range(COLUMNS + 1)])),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_hopeless_file_is_refused_with_its_code(tmp_path: Path, name: str) -> None:
    code, content = FILES[name]
    with pytest.raises(Rejected) as caught:
        prepared(tmp_path, content())
    assert caught.value.code == code
    assert caught.value.message
    assert caught.value.hint or caught.value.limit
    assert len(json.dumps(caught.value.as_dict())) < 10_000


def test_a_measure_is_prepared_though_no_model_can_be_trained_on_it_yet(tmp_path: Path) -> None:
    rows = "\n".join(["a,price", *(f"{n % 7}.5,{n * 1.37:.2f}" for n in range(90))])
    assert prepared(tmp_path, rows).decisions.task == "tabular-regression"


def test_a_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "UNPACKED_BYTES", 1_000_000)
    with pytest.raises(Rejected) as caught:
        prepared(tmp_path, zipped("text,label\n" + "a,b\n" * 1_000_000))
    assert (caught.value.code, caught.value.limit) == ("file_too_large", 1_000_000)


def test_a_parquet_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat, "UNPACKED_BYTES", 1_000_000)
    bomb = table({"text": ["x" * 1_000] * 50_000, "label": ["a"] * 50_000})
    assert len(bomb) < 100_000
    with pytest.raises(Rejected) as caught:
        prepared(tmp_path, bomb)
    assert caught.value.code == "file_too_large"


def test_a_large_upload_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "UNPACKED_BYTES", 100)
    with pytest.raises(Rejected) as caught:
        prepared(tmp_path, reviews_csv())
    assert caught.value.code == "file_too_large"


@settings(deadline=None, max_examples=150)
@given(st.one_of(st.binary(max_size=300), st.text(alphabet='a,;\t"\n\\{}[]:1é好', max_size=300).map(str.encode)))
def test_no_bytes_crash_the_data_phase(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        prepared(tmp_path_factory.mktemp("any"), content)
    assert caught.value.code.isidentifier()


@pytest.mark.parametrize(
    "content",
    [
        b"target: [",
        b"- a\n- b\n",
        b"just words",
        b"target: label\nunknown: 1\n",
        b"split: {train: 0.9}\n",
        b"target: !!python/object/apply:os.system ['true']\n",
        b"when: 2026-13-45\n",
        b"\xff\xfe\x00",
        b"[" * 20_000,
        b"target: x\n" * (RECIPE_BYTES // 10 + 1),
        b"a: &a [x, x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\ntarget: [*c, *c, *c]\n",
        b"seed: -1\n",
    ],
)
def test_a_bad_recipe_is_refused(content: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        read_recipe(content)
    assert caught.value.code == "bad_recipe"


def test_an_empty_recipe_is_a_recipe() -> None:
    assert read_recipe(b"").target is None
    assert read_recipe(b"target: label\n").target == "label"
