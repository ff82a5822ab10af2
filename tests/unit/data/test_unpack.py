"""Unpacking: whatever an upload is, its files come out plain, safely, and together."""

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pytest

from modelmill.core.errors import Rejected
from modelmill.frames.read import archive, extract
from modelmill.frames.read import unpack as unpacking
from modelmill.frames.read.file import read
from modelmill.frames.read.unpack import DataFile, Unpacked, unpack

CSV = b"text,label\none,a\ntwo,b\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
Files = Mapping[Any, bytes]


def zipped(files: Files, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return sink.getvalue()


def tarred(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as packed:
        for info, content in members:
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return sink.getvalue()


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as file:
        file.write(content)
    return bytes(sink.getvalue())


def unpacked(folder: Path, **uploads: bytes) -> Unpacked:
    """Unpack files whose names have `_` for the point: `data_csv`."""
    paths = []
    for key, content in uploads.items():
        path = folder / f"upload-{key}"
        path.write_bytes(content)
        paths.append((path, key.replace("__", "/").replace("_", ".")))
    target = folder / "unpacked"
    target.mkdir()
    return unpack(paths, target)


def rows(file: DataFile) -> int:
    return sum(batch.num_rows for batch in read(file.path, file.name).batches)


def refused(folder: Path, **uploads: bytes) -> Rejected:
    with pytest.raises(Rejected) as caught:
        unpacked(folder, **uploads)
    return caught.value


PACKED: dict[str, Callable[[], bytes]] = {
    "plain": lambda: CSV,
    "gzip": lambda: gzip.compress(CSV),
    "gzip in pieces": lambda: gzip.compress(CSV[:9]) + gzip.compress(CSV[9:]),
    "zstd": lambda: zstd(CSV),
    "zip": lambda: zipped({"a/data.csv": CSV}),
    "zip, stored": lambda: zipped({"data.csv": CSV}, zipfile.ZIP_STORED),
    "zip, lzma": lambda: zipped({"data.csv": CSV}, zipfile.ZIP_LZMA),
    "gzip in zip": lambda: zipped({"data.csv.gz": gzip.compress(CSV)}),
    "zstd in zip": lambda: zipped({"data.csv.zst": zstd(CSV)}),
    "tar": lambda: tarred((tarfile.TarInfo("data.csv"), CSV)),
    "tar.gz": lambda: gzip.compress(tarred((tarfile.TarInfo("./a/data.csv"), CSV))),
}


@pytest.mark.parametrize("packing", PACKED)
def test_every_packing_gives_the_same_bytes(tmp_path: Path, packing: str) -> None:
    result = unpacked(tmp_path, data_csv=PACKED[packing]())
    [file] = result.files
    assert file.path.read_bytes() == CSV
    assert PurePath(file.name).name == "data.csv"
    assert (file.split, file.kind, result.media, result.warnings) == (None, "table", None, [])


def info(name: str, kind: int) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.external_attr = (kind | 0o644) << 16
    return made


def link(kind: bytes) -> tarfile.TarInfo:
    made = tarfile.TarInfo("link.csv")
    made.type, made.linkname = kind, "/etc/passwd"
    return made


def long_header() -> bytes:
    """A name of 3 MB, which tarfile would hold in memory."""
    made = tarfile.TarInfo("name")
    made.type = tarfile.GNUTYPE_LONGNAME
    return tarred((made, b"x" * 3_000_000), (tarfile.TarInfo("a.csv"), CSV))


def encrypted() -> bytes:
    """An archive whose file says that it is encrypted, in both of its headers."""
    content = bytearray(zipped({"data.csv": CSV}))
    for header, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + place] |= 1
    return bytes(content)


def changed() -> bytes:
    content = bytearray(zipped({"data.csv": CSV}, zipfile.ZIP_STORED))
    content[content.index(b"one")] = ord("0")
    return bytes(content)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "slip": (lambda: zipped({"../evil.csv": CSV}), "unsafe_name"),
    "slip of Windows": (lambda: zipped({"..\\..\\evil.csv": CSV}), "unsafe_name"),
    "absolute": (lambda: zipped({"/etc/evil.csv": CSV}), "unsafe_name"),
    "drive": (lambda: zipped({"C:\\evil.csv": CSV}), "unsafe_name"),
    "control character": (lambda: zipped({"a\nb.csv": CSV}), "unsafe_name"),
    "long name": (lambda: zipped({"x" * 300 + ".csv": CSV}), "unsafe_name"),
    "symlink": (lambda: zipped({info("link.csv", stat.S_IFLNK): b"/etc/passwd"}), "unsafe_entry"),
    "device": (lambda: zipped({info("null", stat.S_IFCHR): b""}), "unsafe_entry"),
    "tar slip": (lambda: tarred((tarfile.TarInfo("../../evil.csv"), CSV)), "unsafe_name"),
    "tar symlink": (lambda: tarred((link(tarfile.SYMTYPE), b"")), "unsafe_entry"),
    "tar hard link": (lambda: tarred((link(tarfile.LNKTYPE), b"")), "unsafe_entry"),
    "tar, cut": (lambda: tarred((tarfile.TarInfo("a.csv"), CSV * 900))[:9_000], "damaged_file"),
    "tar, long header": (long_header, "damaged_file"),
    "encrypted": (encrypted, "encrypted_file"),
    "zip in zip": (lambda: zipped({"inner.zip": zipped({"data.csv": CSV})}), "nested_archive"),
    "zip in gzip in zip": (lambda: zipped({"inner.zip.gz": gzip.compress(zipped({"a": CSV}))}), "nested_archive"),
    "gzip in gzip": (lambda: gzip.compress(gzip.compress(CSV)), "nested_archive"),
    "tar in zip": (lambda: zipped({"a.tar": tarred((tarfile.TarInfo("a.csv"), CSV))}), "nested_archive"),
    "gzip, cut": (lambda: gzip.compress(CSV)[:-9], "damaged_file"),
    "gzip, changed": (lambda: gzip.compress(CSV)[:-8] + bytes(8), "damaged_file"),
    "zstd, cut": (lambda: zstd(CSV)[:-3], "damaged_file"),
    "zip, cut": (lambda: zipped({"data.csv": CSV})[:-30], "damaged_file"),
    "zip, changed": (changed, "damaged_file"),
    "zip, no method": (lambda: zipped({"data.csv": CSV}).replace(b"PK\x01\x02\x14\x03\x14\0\0\0\x08\0",
                                                                b"PK\x01\x02\x14\x03\x14\0\0\0\x63\0"), "damaged_file"),
    "empty zip": (lambda: zipped({}), "not_a_data_file"),
    "only a README": (lambda: zipped({"README.md": b"# Data", "__MACOSX/._a.csv": b"x", ".DS_Store": b"x"}),
                      "not_a_data_file"),
    "Word": (lambda: zipped({"[Content_Types].xml": b"", "word/document.xml": b"<w/>"}), "not_a_data_file"),
    "pictures without classes": (lambda: zipped({"1.png": PNG, "2.png": PNG}), "missing_target"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_uploads_are_refused_and_leave_nothing(tmp_path: Path, what: str) -> None:
    make, code = HOSTILE[what]
    error = refused(tmp_path, data_bin=make())
    assert error.code == code
    assert error.hint
    left = sorted(path.name for path in (tmp_path / "unpacked").rglob("*") if path.is_file())
    assert left == (["1.png", "2.png"] if code == "missing_target" else [])
    assert not (tmp_path.parent / "evil.csv").exists()


@pytest.mark.parametrize("what", sorted(HOSTILE)[:20])
def test_one_bad_file_does_not_lose_the_others(tmp_path: Path, what: str) -> None:
    make, code = HOSTILE[what]
    result = unpacked(tmp_path, good_csv=CSV, bad_bin=make())
    assert [file.name for file in result.files] == ["good.csv"]
    if code not in ("missing_target", "not_a_data_file"):
        [warning] = result.warnings
        assert warning.code == "files_left_out"
        assert warning.message.startswith("1 of the upload's files left out, because ")


def test_a_bad_entry_does_not_lose_the_others(tmp_path: Path) -> None:
    bad = {f"../{number}.csv": CSV for number in range(7)}
    bad |= {"empty.csv": b"", "notes.txt": b"nothing here\n", "inner.zip": zipped({"a.csv": CSV})}
    result = unpacked(tmp_path, data_zip=zipped({"good.csv": CSV} | bad))
    assert [file.name for file in result.files] == ["good.csv"]
    messages = sorted(warning.message for warning in result.warnings)
    assert [message.split(" ", 1)[0] for message in messages] == ["1", "1", "1", "7"]
    assert messages[-1].endswith("../0.csv, ../1.csv, ../2.csv, ../3.csv, ../4.csv, …")


@pytest.mark.parametrize("pack", [gzip.compress, zstd, lambda content: zipped({"a.csv": content})])
def test_bombs_are_stopped_by_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(extract, "UNPACKED_BYTES", 3_000_000)
    error = refused(tmp_path, data_bin=pack(CSV + b"a,b\n" * 1_000_000), more_csv=CSV)
    assert (error.code, error.limit) == ("file_too_large", 3_000_000)


def test_bombs_are_stopped_by_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "UNPACK_FREE_BYTES", 1_000_000)
    error = refused(tmp_path, data_zip=zipped({f"{n}.csv": CSV + b"a,b\n" * 200_000 for n in range(9)}))
    assert (error.code, error.limit) == ("file_too_large", 250)


def test_a_zip_that_lies_about_its_sizes_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "UNPACKED_BYTES", 1_000_000)
    content = CSV + b"a,b\n" * 1_000_000
    packed = zipped({"a.csv": content}).replace(len(content).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    assert refused(tmp_path, data_zip=packed).code == "damaged_file"


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ARCHIVE_ENTRIES", 10)
    assert refused(tmp_path, data_zip=zipped({f"{n}/": b"" for n in range(5)})).code == "not_a_data_file"
    (tmp_path / "unpacked").rmdir()
    with pytest.raises(Rejected) as caught:
        unpacked(tmp_path, data_zip=zipped({f"{n}.csv": CSV for n in range(11)}))
    assert (caught.value.code, caught.value.limit) == ("too_many_files", 10)


def test_a_long_directory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = zipped({f"{n}.csv": b"" for n in range(50)})
    monkeypatch.setattr(archive, "ARCHIVE_DIRECTORY_BYTES", 1_000)
    monkeypatch.setattr(zipfile, "ZipFile", lambda _: pytest.fail("the directory was read"))
    assert refused(tmp_path, data_zip=content).code == "too_many_files"


def test_too_many_tables_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "TABLES", 3)
    with pytest.raises(Rejected) as caught:
        unpacked(tmp_path, data_zip=zipped({f"{n}.csv": CSV for n in range(4)}))
    assert (caught.value.code, caught.value.limit) == ("too_many_files", 3)


class Counted:
    """A file that lies elsewhere, as `modelmill.aws.remote.Remote`; counts the bytes that are asked of it."""

    def __init__(self, path: Path) -> None:
        self.path, self.name, self.read = path, path.name, 0

    def stat(self) -> Any:
        return self.path.stat()

    def open(self, _mode: str = "rb", buffering: int = -1) -> Any:
        counted, inner = self, self.path.open("rb", buffering=0)

        class Stream(io.RawIOBase):
            def readable(self) -> bool:
                return True

            def seekable(self) -> bool:
                return True

            def seek(self, offset: int, whence: int = 0) -> int:
                return inner.seek(offset, whence)

            def readinto(self, buffer: Any) -> int:
                size = inner.readinto(buffer)
                counted.read += size
                return size

            def close(self) -> None:
                inner.close()
                super().close()

        return io.BufferedReader(Stream(), max(buffering, io.DEFAULT_BUFFER_SIZE))


@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
def test_several_large_files_are_not_read_to_their_ends_for_their_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    """Rows are JSON, which is read in order: of CSV, Arrow reads some blocks ahead."""
    monkeypatch.setattr("modelmill.frames.read.file.GLANCE_BYTES", 1_000_001)
    places = []
    for name in ("one.jsonl", "two.jsonl"):
        path = tmp_path / name
        path.write_bytes('{"评论": "房间很干净服务也很好", "类别": "好"}\n'.encode(codec) * 400_000)
        places.append(Counted(path))
    folder = tmp_path / "unpacked"
    folder.mkdir()
    found = unpack([(place, place.name) for place in places], folder)  # type: ignore[misc]
    assert [file.name for file in found.files] == ["one.jsonl", "two.jsonl"]
    for place in places:
        assert place.read < place.stat().st_size
