"""Media: class folders and tables that point to files become rows; what cannot be decoded goes to the quarantine."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from modelmill.frames.media import Media, find
from modelmill.frames.media.cell import load_cell
from modelmill.frames.media.pointers import pointers
from modelmill.frames.media.rows import MediaReading, link, read_media
from modelmill.frames.read.reading import BadRow, Reading
from tests.unit.data.media_files import encoded, picture, place, png_header, scans, sound, tone, zipped

PNG = encoded(picture(), "PNG")


def found(folder: Path, files: dict[str, bytes]) -> Media:
    media = find(folder, place(folder, files))
    assert media is not None
    return media


def rows_of(reading: Reading) -> list[dict[str, Any]]:
    return [row for batch in reading.batches for row in batch.to_pylist()]


def one(folder: Path, name: str, data: bytes) -> MediaReading:
    """A reading of one file, read to its end."""
    reading = read_media(found(folder, {name: data}))
    assert len(rows_of(reading)) + len(reading.bad) == 1
    return reading


def placed(*names: str) -> list[tuple[str | None, str | None]]:
    media = find(Path(), names)
    assert media is not None
    return [(file.label, file.split) for file in media.files]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cat/1.png", "dog/1.png"], [("cat", None), ("dog", None)]),
        (["up/data/cat/1.png", "up/data/dog/1.png"], [("cat", None), ("dog", None)]),
        (["test/cat/1.png", "train/dog/1.png"], [("cat", "test"), ("dog", "train")]),
        (["x/Test/cat/1.png", "x/training_set/dog/1.png"], [("cat", "test"), ("dog", "train")]),
        (["cat/train/1.png", "cat/val/2.png", "dog/train/1.png"],
         [("cat", "train"), ("cat", "validation"), ("dog", "train")]),
        (["train/cat/images/1.png", "test/dog/images/1.png"], [("dog", "test"), ("cat", "train")]),
        (["car/1.png", "train/1.png"], [("car", None), ("train", None)]),
        (["test/1.png", "train/1.png"], [(None, "test"), (None, "train")]),
        (["a.png", "cat/b.png"], [(None, None), ("cat", None)]),
        (["a.png", "b.png"], [(None, None), (None, None)]),
        (["pets/cat/1.png", "wild/cat/1.png", "wild/wolf/1.png"], [("cat", None), ("cat", None), ("wolf", None)]),
    ],
)  # fmt: skip
def test_folders_are_classes_and_splits(names: list[str], expected: list[tuple[str | None, str | None]]) -> None:
    assert placed(*names) == expected


def test_what_is_no_media_is_left_alone_and_the_fewer_kind_is_a_warning() -> None:
    assert find(Path(), ["a.csv", "README.md", ".hidden/1.png", "__MACOSX/cat/._1.png"]) is None
    media = find(Path(), ["a/1.png", "a/2.PNG", "b/3.wav", "labels.csv"])
    assert media is not None
    assert (media.kind, [file.name for file in media.files]) == ("image", ["a/1.png", "a/2.PNG"])
    assert "1 files left out" in media.warnings[0].message


def test_rows_come_in_the_order_of_names_with_what_is_bad_numbered_among_them(tmp_path: Path) -> None:
    media = found(tmp_path, {"dog/2.png": PNG, "cat/1.png": PNG, "cat/0.png": b"", "dog/0.jpg": PNG[:200]})
    reading = read_media(media)
    rows = rows_of(reading)
    assert [row["label"] for row in rows] == ["cat", "dog"]
    assert reading.bad == [BadRow(1, "bad_media", "cat/0.png"), BadRow(3, "bad_media", "dog/0.jpg")]
    assert load_cell(tmp_path, rows[0]["image"]) == PNG
    assert rows[0]["image"].partition(":")[0] == rows[1]["image"].partition(":")[0]


def test_a_split_can_be_read_alone(tmp_path: Path) -> None:
    media = found(tmp_path, {"train/a/1.png": PNG, "train/b/1.png": PNG, "test/a/1.png": PNG})
    assert media.splits == ("train", "test")
    assert [row["image"].partition(":")[2] for row in rows_of(read_media(media, "test"))] == ["test/a/1.png"]
    assert len(rows_of(read_media(media))) == 3


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.png", b"", "the file is empty"),
        ("a.png", zipped(), "not one of"),
        ("a.png", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", "not one of"),
        ("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not one of"),
        ("a.tif", encoded(picture(), "TIFF"), "not one of"),
        ("a.png", png_header(100_000, 100_000), "million pixels"),
        ("a.png", png_header(10_000, 10_000), "million pixels"),
        ("a.png", png_header(1_000, 1_000), "truncated"),
        ("a.png", png_header(0, 0), ""),
        ("a.png", PNG[: len(PNG) // 2], ""),
        ("a.png", PNG[:60] + bytes([PNG[60] ^ 0xFF]) + PNG[61:], ""),
        ("a.jpg", encoded(picture(), "JPEG")[:-200], "truncated"),
        ("a.jpg", scans(5_000), "more scans"),
        ("a.webp", encoded(picture(), "WEBP")[:-50], ""),
        ("a.gif", encoded(picture(), "GIF")[:300], ""),
        ("a.bmp", encoded(picture(), "BMP")[:300], "truncated"),
        ("a.wav", b"", "the file is empty"),
        ("a.wav", b"RIFF", "neither"),
        ("a.wav", sound(tone())[:44], "truncated"),
        ("a.wav", sound(tone())[:2_000], "truncated"),
        ("a.wav", sound(tone()[:0]), "no samples"),
        ("a.wav", sound(tone())[:36], "no samples"),
        ("a.wav", sound(np.full(900, np.nan), coding="FLOAT"), "no numbers"),
        ("a.wav", sound(np.zeros((900, 12))), "more than 8 channels"),
        ("a.wav", sound(tone(), rate=10), "samples a second"),
        ("a.wav", sound(np.zeros(601_000), rate=1_000), "longer than 600"),
        ("a.wav", zipped(), "neither"),
        ("a.mp3", sound(tone(), form="MP3", coding="MPEG_LAYER_III"), "neither"),
        ("a.flac", b"fLaC" + bytes(range(256)) * 40, ""),
        ("a.flac", sound(tone(), form="FLAC")[:-700], ""),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value),
)  # fmt: skip
def test_hostile_files_cost_their_row_and_say_why(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    reading = one(tmp_path, f"x/{name}", data)
    assert reading.bad == [BadRow(1, "bad_media", f"x/{name}")]
    (cause,) = reading.facts.refused
    assert why in cause
    assert f"x/{name}" in reading.facts.warnings()[0].message


def test_large_and_many_files_keep_their_order_and_numbers(tmp_path: Path) -> None:
    files = {f"x/{n:04}.png": PNG for n in range(700)} | {"x/0300.png": b"", "x/0600.png": b""}
    files["x/0002.png"] = encoded(picture(1, (3_000, 2_400)), "PNG", compress_level=1)
    reading = read_media(found(tmp_path, files))
    names = [row["image"].partition(":")[2] for row in rows_of(reading)]
    assert names == sorted(set(files) - {"x/0300.png", "x/0600.png"})
    assert [row.number for row in reading.bad] == [301, 601]
    assert reading.facts.spreads["width"].most == 3_000


def test_webp_may_have_fewer_pixels_because_it_takes_more_memory(tmp_path: Path) -> None:
    image = Image.new("L", (5_200, 5_000))
    assert one(tmp_path, "x/a.png", encoded(image, "PNG")).bad == []
    assert one(tmp_path, "y/a.webp", encoded(image, "WEBP", quality=0, method=0)).bad


def test_a_lying_header_costs_the_row_but_a_piped_one_does_not(tmp_path: Path) -> None:
    data = sound(tone())
    at = data.index(b"data") + 4
    for size, bad in ((len(data) * 10, 1), (0xFFFFFFFF, 0), (0x7FFFFFFF, 0)):
        changed = data[:at] + struct.pack("<I", size) + data[at + 4 :]
        assert len(one(tmp_path, "x/a.wav", changed).bad) == bad
    no_channels = data[:22] + b"\0\0" + data[24:]
    assert len(one(tmp_path, "x/a.wav", no_channels).bad) == 1


def table(**columns: list[str | None]) -> pa.RecordBatch:
    return pa.record_batch({name: pa.array(values, pa.large_string()) for name, values in columns.items()})


def test_a_table_points_to_files_and_what_it_misses_costs_the_row(tmp_path: Path) -> None:
    media = found(tmp_path, {"up/images/a.png": PNG, "up/images/b.png": PNG, "up/images/bad.png": PNG[:99]})
    batch = table(file=["images/a.png", "b.png", "gone.png", "./images\\bad.png", None, "A.PNG"], y=list("123456"))
    assert pointers(media, batch, "up/labels.csv") == ("file",)
    bad = [BadRow(2, "ragged_row", "x")]
    reading = link(media, Reading(iter([batch.slice(0, 3), batch.slice(3)]), bad), "up/labels.csv")
    rows = rows_of(reading)
    assert [row["y"] for row in rows] == ["1", "2", "5", "6"]
    names = [row["file"] and row["file"].partition(":")[2] for row in rows]
    assert names == ["up/images/a.png", "up/images/b.png", None, "up/images/a.png"]
    assert sorted(reading.bad, key=lambda row: row.number) == [
        BadRow(2, "ragged_row", "x"),
        BadRow(4, "missing_file", "gone.png"),
        BadRow(5, "bad_media", "up/images/bad.png"),
    ]
    assert (reading.facts.count, len(reading.facts.refused)) == (2, 1)


def test_columns_that_point_are_told_from_those_that_do_not(tmp_path: Path) -> None:
    media = found(tmp_path, {f"{n}.png": PNG for n in range(1, 7)})
    by_id = table(id=list("123456"), age=list("112233"), note=["a.png?", "b", "c", "d", "e", "f"])
    assert pointers(media, by_id) == ("id",)
    by_name = table(id=list("123456"), path=[f"{n}.png" for n in range(1, 7)])
    assert pointers(media, by_name) == ("path",)
    assert pointers(media, table(path=["x.png", "y.png"], n=["7", "8"])) == ()


def test_files_of_one_name_are_told_by_folder_and_the_table_beside_them(tmp_path: Path) -> None:
    media = found(tmp_path, {"train/1.png": PNG, "test/1.png": PNG, "test/2.png": PNG})
    cells = table(file_name=["1.png", "test/1.png", "train/2.png"])
    reading = link(media, Reading(iter([cells])), "train/metadata.jsonl")
    names = [row["file_name"].partition(":")[2] for row in rows_of(reading)]
    assert names == ["train/1.png", "test/1.png"]
    assert [row.raw for row in reading.bad] == ["train/2.png"]
    ambiguous = link(media, Reading(iter([table(file_name=["1.png", "2.png"])])))
    assert len(rows_of(ambiguous)) == 1
    assert ambiguous.bad == [BadRow(1, "missing_file", "1.png")]


def test_a_cell_reads_only_its_file(tmp_path: Path) -> None:
    media = found(tmp_path / "upload", {"x/a.png": PNG})
    (row,) = rows_of(read_media(media))
    (tmp_path / "secret.png").write_bytes(PNG)
    digest = row["image"].partition(":")[0]
    with pytest.raises(ValueError, match="names no file"):
        load_cell(media.folder, f"{digest}:../secret.png")
    (media.folder / "x/a.png").write_bytes(PNG + b"!")
    with pytest.raises(ValueError, match="not the one"):
        load_cell(media.folder, row["image"])
