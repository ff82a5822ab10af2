"""What the files of an upload are called, which of them belong together, and which split they are."""

import io
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from modelmill.core.errors import Rejected
from modelmill.frames.read.names import archived_name, is_ignored, safe_name, split_of
from tests.unit.data.test_unpack import CSV, PNG, rows, unpacked, zipped


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("adult_train.csv.gz", "train"),
        ("data/train-00000-of-00002.parquet", "train"),
        ("Training/a.csv", "train"),
        ("reviews.dev.csv", None),
        ("reviews_dev.tsv", "validation"),
        ("valid/part-1.csv", "validation"),
        ("VAL.csv", "validation"),
        ("validation.jsonl", "validation"),
        ("imdb_test5k.parquet", "test"),
        ("train/a/test.csv", "test"),
        ("train/test/a.csv", "test"),
        ("train_test.csv", None),
        ("latest.csv", None),
        ("contest/strain.csv", None),
    ],
)
def test_names_say_the_split(name: str, split: str | None) -> None:
    assert split_of(name) == split


@pytest.mark.parametrize(
    "name",
    ["__MACOSX/._a.csv", ".DS_Store", "a/Thumbs.db", "README", "a/readme.md", "LICENSE", "licence.txt", "_SUCCESS",
     ".part-0.csv.crc", "a/.git/config", "desktop.ini", "a/_metadata"],
)  # fmt: skip
def test_what_is_no_data_is_ignored(name: str) -> None:
    assert is_ignored(name)


@pytest.mark.parametrize("name", ["a.csv", "readme.csv", "notice.jsonl", "a/b_.csv", "licenses.parquet", "_a/b.csv"])
def test_what_is_data_is_not_ignored(name: str) -> None:
    assert not is_ignored(name)


@pytest.mark.parametrize(
    ("name", "safe"),
    [("./a//b.csv", "a/b.csv"), ("a\\b.csv", "a/b.csv"), ("e\u0301.csv", "é.csv"), ("..a/b..csv", "..a/b..csv")],
)
def test_names_are_made_plain(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["", "/", "..", "a/../b", "/a", "\\a", "c:a", "a\0", "a/" * 600 + "b", "\ud800.csv"])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(Rejected, match="name of a file"):
        safe_name(name)


@pytest.mark.parametrize(
    ("name", "codec"), [("训练/好.csv", "utf-8"), ("训练/好.csv", "gb2312"), ("café.csv", "cp437")]
)
def test_old_names_are_decoded(name: str, codec: str) -> None:
    assert archived_name(name.encode(codec).decode("cp437"), is_unicode=False) == name
    assert archived_name(name, is_unicode=True) == name


def test_names_of_other_encodings_in_an_archive(tmp_path: Path) -> None:
    packed = zipped({"xxxxxx/data.csv": CSV}).replace(b"xxxxxx", "数据集".encode("gb2312"))
    assert [file.name for file in unpacked(tmp_path, data_zip=packed).files] == ["数据集/data.csv"]


def test_tables_of_equal_columns_are_one_data_set(tmp_path: Path) -> None:
    other = tmp_path / "x.parquet"
    pa.parquet.write_table(pa.table({"label": ["a"] * 3, "text": ["t"] * 3}), other)
    result = unpacked(
        tmp_path,
        b_csv=CSV,
        a_jsonl=b"\n".join(json.dumps({"text": "t", "label": str(n)}).encode() for n in range(5)),
        c_parquet=other.read_bytes(),
        d_zip=zipped({"1.csv": CSV, "sub/2.csv": CSV}),
        submission_csv=b"id,label\n1,a\n2,b\n",
    )
    assert [file.name for file in result.files] == ["a.jsonl", "b.csv", "c.parquet", "d/1.csv", "d/sub/2.csv"]
    assert sum(map(rows, result.files)) == 5 + 2 + 3 + 2 + 2
    [warning] = result.warnings
    assert warning.message.endswith("the table has other columns than a.jsonl (lacks text; adds id): submission.csv")


def test_given_splits_need_a_training_split_and_another(tmp_path: Path) -> None:
    cases: list[tuple[list[str], list[str | None]]] = [
        (["train.csv", "test.csv", "more.csv"], [None, "test", "train"]),
        (["train/1.csv", "valid/1.csv", "test/1.csv"], ["test", "train", "validation"]),
        (["test-1.csv", "test-2.csv"], [None, None]),
        (["test.csv", "dev.csv"], [None, None]),
        (["train-1.csv", "train-2.csv"], [None, None]),
    ]
    for number, (names, splits) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        result = unpacked(folder, data_zip=zipped(dict.fromkeys(names, CSV)))
        assert [file.split for file in result.files] == splits


def test_several_archives_are_folders_of_their_names(tmp_path: Path) -> None:
    result = unpacked(tmp_path, train_zip=zipped({"a.csv": CSV}), test_zip=zipped({"a.csv": CSV}))
    assert [(file.name, file.split) for file in result.files] == [("test/a.csv", "test"), ("train/a.csv", "train")]


def test_the_second_of_two_equal_names_is_left_out(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        packed = zipped_twice()
    result = unpacked(tmp_path, data_zip=packed)
    assert [(file.name, file.path.read_bytes()) for file in result.files] == [("a.csv", CSV)]
    assert "same name: a.csv" in result.warnings[0].message


def zipped_twice() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("a.csv", CSV)
        packed.writestr("a.csv", CSV + b"three,c\n")
    return buffer.getvalue()


def test_class_folders_are_media(tmp_path: Path) -> None:
    names = ["cat/1.png", "cat/2.png", "dog/1.png", "README.md"]
    result = unpacked(tmp_path, data_zip=zipped(dict.fromkeys(names, PNG)))
    assert result.files == []
    assert result.media is not None
    assert [(file.name, file.label) for file in result.media.files] == [
        ("cat/1.png", "cat"),
        ("cat/2.png", "cat"),
        ("dog/1.png", "dog"),
    ]
    assert (result.media.folder / "dog/1.png").read_bytes() == PNG


def test_a_table_may_say_what_media_are(tmp_path: Path) -> None:
    table = b"file,label\n1.png,cat\n2.png,dog\n"
    result = unpacked(tmp_path, labels_csv=table, images_zip=zipped({"1.png": PNG, "2.png": PNG}), extra_png=PNG)
    assert [file.name for file in result.files] == ["labels.csv"]
    assert result.media is not None
    assert all((result.media.folder / file.name).read_bytes() == PNG for file in result.media.files)
    assert [file.name for file in result.media.files] == ["extra.png", "images/1.png", "images/2.png"]
