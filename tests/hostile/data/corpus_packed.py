"""Nasty packages: gzip, zstd, zip, tar, Excel workbooks, zips of images and audio, and what is no table at all."""

import gzip
import io
import stat
import struct
import tarfile
import warnings
import wave
import zipfile
import zlib
from collections.abc import Mapping

import pyarrow as pa

from tests.hostile.data.cases import Cases, refused, table, taken

GOOD = table().encode()
MB = 1_000_000


def zipped(files: Mapping[str, bytes], *, again: Mapping[str, bytes] | None = None) -> bytes:
    """A zip of these files; `again` is put in under names that may be there already."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [*files.items(), *(again or {}).items()]:
            with warnings.catch_warnings(action="ignore", category=UserWarning):  # a name that is there already
                archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return sink.getvalue()


def link() -> bytes:
    """A zip that holds a symbolic link beside a table."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        info = zipfile.ZipInfo("secrets.csv")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("data.csv", GOOD)
    return sink.getvalue()


def encrypted() -> bytes:
    """A zip whose one file says that it is encrypted."""
    data = bytearray(zipped({"data.csv": GOOD}))
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + place] |= 1
    return bytes(data)


def lying() -> bytes:
    """A zip whose directory says that 60 MB are 10 bytes."""
    data = bytearray(zipped({"data.csv": GOOD + b"\n" * (60 * MB)}))
    start = data.index(b"PK\x01\x02")
    data[start + 24 : start + 28] = struct.pack("<I", 10)
    return bytes(data)


def many() -> bytes:
    """100,000 empty files."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for number in range(100_000):
            archive.writestr(zipfile.ZipInfo(f"{number}.csv"), b"")
    return sink.getvalue()


def tarred(*entries: tuple[str, bytes, bytes]) -> bytes:
    """A tar of (name, kind, data)."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for name, kind, data in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(data) if kind == tarfile.REGTYPE else 0
            info.linkname = "" if kind == tarfile.REGTYPE else "/etc/passwd"
            archive.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def zstd(data: bytes) -> bytes:
    """One zstd frame."""
    return pa.compress(data, codec="zstd", asbytes=True)  # type: ignore[no-any-return]


def sheet(rows: str) -> bytes:
    """A workbook of one sheet (ECMA-376), with no more parts than a reader needs."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    links = f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1"'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'{links} Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}">'
        '<sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{links} Type="{office}/worksheet" '
        'Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>',
    }
    return zipped({name: part.encode() for name, part in parts.items()})


def text_cell(place: str, text: str) -> str:
    """A cell that holds its text."""
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def grid(rows: int = 60) -> str:
    """Rows of a sheet: a text and a label, one row with errors of formulas."""
    texts = [("review", "label")]
    texts += [(f"words number {n} of {n % 7} and more {n * 7919}", "yes" if n % 2 else "no") for n in range(rows)]
    cells = "".join(
        f'<row r="{n}">{text_cell(f"A{n}", text)}{text_cell(f"B{n}", label)}</row>'
        for n, (text, label) in enumerate(texts, start=1)
    )
    last = rows + 2
    wrong = f'<c r="A{last}" t="e"><f>1/0</f><v>#DIV/0!</v></c><c r="B{last}" t="e"><v>#REF!</v></c>'
    return f'{cells}<row r="{last}">{wrong}</row>'


def png(width: int, height: int, seed: int = 0) -> bytes:
    """A grey picture; of one colour if it is large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    line = b"\0" + bytes((seed * 31 + x) % 256 for x in range(width)) if width < MB else b"\0" * 100
    packed = zlib.compress(line * min(height, 64))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def wav(level: int, frames: int = 800) -> bytes:
    """A tone, or silence."""
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setparams((1, 2, 8_000, frames, "NONE", "not compressed"))
        file.writeframes(b"".join(struct.pack("<h", (n * level) % 20_000) for n in range(frames)))
    return sink.getvalue()


def pictures(**more: bytes) -> bytes:
    """Two classes of 20 small pictures each, and what is put beside them in the first class."""
    good = {f"{'cat' if n % 2 else 'dog'}/{n}.png": png(8, 8, n) for n in range(40)}
    return zipped(good | {f"cat/{name.replace('_', '.')}": data for name, data in more.items()})


def sounds(**more: bytes) -> bytes:
    """Two classes of 20 tones each, and what is put beside them in the first class."""
    good = {f"{'low' if n % 2 else 'high'}/{n}.wav": wav(n * 37 + 11) for n in range(40)}
    return zipped(good | {f"low/{name.replace('_', '.')}": data for name, data in more.items()})


PACKED: Cases = {
    "gzip cut": refused(lambda: gzip.compress(table(600).encode())[:-900], "damaged_file", file="data.csv.gz"),
    "gzip without its check": refused(lambda: gzip.compress(GOOD)[:-8], "damaged_file", file="data.csv.gz"),
    "gzip of two members": taken(lambda: gzip.compress(GOOD[:700]) + gzip.compress(GOOD[700:]), 60, "data.csv.gz"),
    "gzip with waste behind it": refused(
        lambda: gzip.compress(GOOD) + b"waste" * 9, "damaged_file", file="data.csv.gz"
    ),
    "gzip with zeros behind it": taken(lambda: gzip.compress(GOOD) + bytes(512), 60, "data.csv.gz"),
    "gzip bomb": refused(lambda: gzip.compress(bytes(100 * MB)) * 12, "file_too_large", file="data.csv.gz"),
    "gzip of nothing but zeros": refused(
        lambda: gzip.compress(bytes(100 * MB), 1) * 3, "not_a_data_file", file="data.csv.gz"
    ),
    "gzip in gzip": refused(lambda: gzip.compress(gzip.compress(GOOD)), "nested_archive", file="a.gz"),
    "zstd": taken(lambda: zstd(GOOD), 60, "data.csv.zst"),
    "zstd cut": refused(lambda: zstd(table(600).encode())[:-300], "damaged_file", file="data.csv.zst"),
    "zstd of two frames": taken(lambda: zstd(GOOD[:700]) + zstd(GOOD[700:]), 60, "data.csv.zst"),
    "zstd bomb": refused(lambda: zstd(bytes(250 * MB)) * 5, "file_too_large", file="data.csv.zst"),
    "zip": taken(lambda: zipped({"a/data.csv": GOOD, "__MACOSX/._data.csv": b"x", ".DS_Store": b"y"}), 60, "data.zip"),
    "zip of nothing": refused(lambda: zipped({}), "not_a_data_file", file="data.zip"),
    "zip without its end": refused(lambda: zipped({"data.csv": GOOD})[:-30], "damaged_file", file="data.zip"),
    "zip bomb": refused(lambda: zipped({"data.csv": bytes(200 * MB)}), "file_too_large", file="data.zip"),
    "zip that lies about a size": refused(lying, "damaged_file", file="data.zip"),
    "zip slip": refused(lambda: zipped({"../../data.csv": GOOD}), "unsafe_name", file="data.zip"),
    "zip with an absolute name": refused(lambda: zipped({"/etc/data.csv": GOOD}), "unsafe_name", file="data.zip"),
    "zip with a link": taken(link, 60, "data.zip"),
    "zip, encrypted": refused(encrypted, "encrypted_file", file="data.zip"),
    "zip in zip": refused(lambda: zipped({"data.zip": zipped({"data.csv": GOOD})}), "nested_archive", file="data.zip"),
    "zip of 100,000 files": refused(many, "empty_file", file="data.zip"),
    "zip with a name twice": taken(lambda: zipped({"data.csv": GOOD}, again={"data.csv": GOOD}), 60, "data.zip"),
    "zip with other tables": taken(lambda: zipped({"a.csv": GOOD, "b.csv": b"x,y\n1,2\n"}), 60, "data.zip"),
    "zip with names of two cases": taken(
        lambda: zipped({"data.csv": GOOD, "DATA.CSV": table(30).encode()}), 90, "data.zip", duplicate=30
    ),
    "tar slip": refused(lambda: tarred(("../data.csv", tarfile.REGTYPE, GOOD)), "unsafe_name", file="data.tar"),
    "tar of links and devices": refused(
        lambda: tarred(
            ("a.csv", tarfile.SYMTYPE, b""), ("b.csv", tarfile.LNKTYPE, b""), ("c.csv", tarfile.CHRTYPE, b"")
        ),
        "unsafe_entry",
        file="data.tar",
    ),
    "tar cut": refused(
        lambda: tarred(("data.csv", tarfile.REGTYPE, table(600).encode()))[:9_000],
        "damaged_file",
        file="data.tar",
    ),
}
EXCEL: Cases = {
    "sheet with errors": taken(lambda: sheet(grid()), 61, "data.xlsx", missing_target=1),
    "sheet with empty rows": taken(
        lambda: sheet(grid() + f'<row r="99">{text_cell("B99", "yes")}</row>'),
        98,
        "data.xlsx",
        missing_target=37,
        no_usable_input=1,
    ),
    "sheet without rows": refused(lambda: sheet(""), "empty_file", file="data.xlsx"),
    "sheet of a million empty rows": refused(
        lambda: sheet("".join(f'<row r="{n}"/>' for n in range(1, MB))), "empty_file", file="data.xlsx"
    ),
    "sheet that claims its last cell": refused(
        lambda: sheet('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'),
        "file_too_large",
        file="data.xlsx",
    ),
    "bomb in a sheet": taken(lambda: sheet(grid() + " " * (300 * MB)), 61, file="data.xlsx", missing_target=1),
    "sheet of entities": taken(
        lambda: sheet("<!DOCTYPE x [<!ENTITY a 'aaaa'>]>&a;" + grid()), 61, file="data.xlsx", missing_target=1
    ),
    "workbook cut": refused(lambda: sheet(grid())[:600], "damaged_file", file="data.xlsx"),
    "old workbook of zeros": refused(
        lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2_000), "damaged_file", file="data.xls"
    ),
    "workbook with a password": refused(
        lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + "EncryptedPackage".encode("utf-16-le"),
        "encrypted_file",
        file="data.xlsx",
    ),
}
MEDIA: Cases = {
    "pictures": taken(pictures, 40, "data.zip"),
    "picture of many pixels": taken(lambda: pictures(bomb_png=png(60_000, 60_000)), 41, "data.zip", bad_media=1),
    "picture that is wider than memory": taken(
        lambda: pictures(wide_png=png(2**31 - 1, 2**31 - 1)), 41, "data.zip", bad_media=1
    ),
    "picture cut": taken(lambda: pictures(cut_png=png(64, 64, 99)[:60]), 41, "data.zip", bad_media=1),
    "picture of text": taken(
        lambda: pictures(text_jpg=b"no picture at all", empty_png=b""), 42, "data.zip", bad_media=2
    ),
    "picture under another name": taken(lambda: pictures(other_jpg=png(9, 9, 98)), 41, "data.zip"),
    "pictures of one class": refused(
        lambda: zipped({f"cat/{n}.png": png(8, 8, n) for n in range(40)}),
        "missing_target",
        file="data.zip",
    ),
    "pictures without class": refused(
        lambda: zipped({f"{n}.png": png(8, 8, n) for n in range(40)}), "missing_target", file="data.zip"
    ),
    "sounds": taken(sounds, 40, "data.zip"),
    "silence": taken(lambda: sounds(silent_wav=wav(0), still_wav=wav(0, 0)), 42, "data.zip", bad_media=1),
    "sound with a lying header": taken(
        lambda: sounds(lies_wav=wav(3)[:40] + b"\xff\xff\xff\x7f" + wav(3)[44:]), 41, "data.zip"
    ),
    "sound cut": taken(lambda: sounds(cut_wav=wav(5)[:30], text_flac=b"fLaC" + bytes(9)), 42, "data.zip", bad_media=2),
}
OTHER: Cases = {
    "picture alone": refused(lambda: png(8, 8), "not_a_data_file", file="data.png"),
    "program": refused(lambda: b"\x7fELF\x02\x01\x01" + bytes(4_000), "not_a_data_file"),
    "pdf called csv": refused(lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + GOOD, "not_a_data_file"),
    "pickle": refused(lambda: b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n", "not_a_data_file"),
    "web page": refused(lambda: b"<!DOCTYPE html><html><table><tr><td>a,b</td></tr></table>", "not_a_data_file"),
    "nothing": refused(lambda: b"", "empty_file"),
}
CASES: Cases = PACKED | EXCEL | MEDIA | OTHER
