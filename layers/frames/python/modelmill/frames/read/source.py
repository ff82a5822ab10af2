"""The bytes of an unpacked file: a path in; the kind of its content out.

Content decides, the name does not: a Parquet file called `data.csv` is Parquet.
"""

from pathlib import Path
from typing import Literal

from modelmill.core.errors import Rejected
from modelmill.core.limits import KIB

Content = Literal["parquet", "arrow", "text"]
ARROW_FILE, ARROW_STREAM = b"ARROW1", b"\xff\xff\xff\xff"
_SAVE_AS = "save the data as CSV, TSV, JSON Lines, Parquet, Arrow or Excel"
# Magic numbers that no header of a table begins with: `ID3` and `ORC` could be column names.
_KNOWN: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"GIF8", "a GIF image"), (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a zip archive"), (b"PK\x05\x06", "an empty zip archive"), (b"\x1f\x8b", "a gzip file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"), (b"\xd0\xcf\x11\xe0", "an old Excel or Word file"), (b"\x7fELF", "a program"),
    (b"7z\xbc\xaf", "a 7z archive"), (b"Rar!", "a RAR archive"), (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"), (b"SQLite format 3", "an SQLite database"), (b"fLaC", "FLAC audio"),
    (b"OggS", "Ogg audio or video"), (b"\x89HDF", "an HDF5 file"), (b"\x93NUMPY", "a NumPy array"),
    (b"FEA1", "a Feather file of version 1 (write version 2, which is Arrow)"), (b"Obj\x01", "an Avro file"),
    (b"\xff\xfe\x00\x00", "text in UTF-32 (save it as UTF-8)"), (b"\x00\x00\xfe\xff", "text in UTF-32"),
    (b"RIFF", "a RIFF file (audio, video or an image)"), (b"{\\rtf", "a Rich Text file"),
    (b"<!doctype html", "a web page"), (b"<html", "a web page"), (b"<?xml", "an XML file"),
)  # fmt: skip
_ENCRYPTED = b"PARE"
_HEAD_BYTES = 64 * KIB
_BLANK = b" \t\r\n\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def sniff(path: Path) -> Content:
    """What an unpacked file holds; raises Rejected: empty_file, encrypted_file, not_a_data_file."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
        while not head.strip(_BLANK) and (more := stream.read(_HEAD_BYTES)):
            head = more
        stream.seek(max(0, stream.seek(0, 2) - len(_ENCRYPTED)))
        end = stream.read()
    if not head.strip(_BLANK):
        raise Rejected("empty_file", "the file is empty", hint=_SAVE_AS)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(_ENCRYPTED) and end == _ENCRYPTED:
        raise Rejected("encrypted_file", "the Parquet file is encrypted", hint=_SAVE_AS)
    if head.startswith((ARROW_FILE, ARROW_STREAM)):
        return "arrow"
    _refuse_binary(head)
    return "text"


def _refuse_binary(head: bytes) -> None:
    lower = head[:32].lstrip().lower()
    for magic, what in _KNOWN:
        if head.startswith(magic) or (magic[:1] == b"<" and lower.startswith(magic)):
            raise Rejected("not_a_data_file", f"the file is {what}, not a table of rows", hint=_SAVE_AS)
    if head.startswith(_UTF16_MARKS) or utf16_without_mark(head):
        return
    control = sum(head.count(byte) for byte in range(32) if byte not in b"\t\n\r\f\x1b\x1a")
    if b"\x00" in head or control > len(head) // 100:
        raise Rejected("not_a_data_file", "the file is binary, not a table of rows", hint=_SAVE_AS)


def utf16_without_mark(head: bytes) -> Literal["utf-16-le", "utf-16-be"] | None:
    """UTF-16 that lost its byte order mark: (nearly) every second byte of mostly ASCII text is zero."""
    half = len(head) // 2
    if half < 8:
        return None
    even, odd = head[: 2 * half : 2].count(0), head[1 : 2 * half : 2].count(0)
    if odd > 0.7 * half and even == 0:
        return "utf-16-le"
    return "utf-16-be" if even > 0.7 * half and odd == 0 else None
