"""The bytes of an upload: a path in; a capped, unpacked stream and the kind of the content out.

Content decides, the name does not: a Parquet file called `data.csv` is Parquet.
"""

import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO, Literal, cast

from modelmill.core.errors import Rejected
from modelmill.core.limits import MIB, UNPACKED_BYTES, UPLOAD_BYTES

Content = Literal["parquet", "text"]
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_SAVE_AS = "save the data as CSV, TSV, JSON Lines or Parquet (each may be gzipped)"
# Magic numbers that no header of a table begins with: `ID3` and `ORC` could be column names.
_KNOWN: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"GIF8", "a GIF image"), (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a zip archive (or an Excel or Word file)"), (b"PK\x05\x06", "an empty zip archive"),
    (b"\x7fELF", "a program"), (b"\xd0\xcf\x11\xe0", "an old Excel or Word file"),
    (b"7z\xbc\xaf", "a 7z archive"), (b"Rar!", "a RAR archive"), (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"), (b"\x28\xb5\x2f\xfd", "a zstd archive"), (b"SQLite format 3", "an SQLite database"),
    (b"\x89HDF", "an HDF5 file"), (b"\x93NUMPY", "a NumPy array"), (b"ARROW1", "an Arrow file"),
    (b"Obj\x01", "an Avro file"), (b"RIFF", "a RIFF file (audio or video)"),
    (b"<!doctype html", "a web page"), (b"<html", "a web page"), (b"<?xml", "an XML file"), (_GZIP, "gzip inside gzip"),
)  # fmt: skip
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class _Capped(io.RawIOBase):
    """A stream that gives at most `limit` bytes and turns damage of the packing into a rejection."""

    def __init__(self, inner: BinaryIO, limit: int) -> None:
        self._inner, self._left, self._limit = inner, limit, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self._inner.read(len(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Rejected(
                "damaged_file", f"the gzip file is damaged: {error}", hint="pack and upload it again"
            ) from None
        self._left -= len(data)
        if self._left < 0:
            raise Rejected(
                "file_too_large",
                f"the file unpacks to more than {self._limit // MIB} MiB",
                limit=self._limit,
                hint="upload a sample of the rows",
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._inner.close()
        super().close()


def is_gzip(path: Path) -> bool:
    """True if the file begins like gzip (RFC 1952)."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def open_unpacked(path: Path, limit: int = UNPACKED_BYTES) -> BinaryIO:
    """The file's bytes, gunzipped if need be; reading raises Rejected (`file_too_large`, `damaged_file`)."""
    # Closed with the stream that is returned.
    inner = cast(BinaryIO, gzip.open(path, "rb")) if is_gzip(path) else path.open("rb")  # noqa: SIM115
    return io.BufferedReader(_Capped(inner, limit), MIB)


def sniff(path: Path) -> Content:
    """What the file holds; raises Rejected: empty_file, file_too_large, not_a_data_file, damaged_file."""
    if path.stat().st_size > UPLOAD_BYTES:
        raise Rejected(
            "file_too_large",
            f"the file is larger than {UPLOAD_BYTES // MIB} MiB",
            limit=UPLOAD_BYTES,
            hint="gzip it, or upload a sample of the rows",
        )
    with open_unpacked(path) as stream:
        head = stream.read(64 * 1024)
    if not head.strip(b" \t\r\n\xef\xbb\xbf"):
        raise Rejected("empty_file", "the file is empty", hint=_SAVE_AS)
    if head.startswith(_PARQUET):
        return "parquet"
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
