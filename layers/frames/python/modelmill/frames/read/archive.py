"""Archives (zip and tar): a path in; the files that they hold, one by one, each to be opened or refused, out.

What is refused: links, devices, encrypted files. Names are as the archive has them: `names.safe_name` judges them.
"""

import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Literal

from modelmill.core.errors import Rejected
from modelmill.core.limits import ARCHIVE_DIRECTORY_BYTES, ARCHIVE_ENTRIES, MIB
from modelmill.frames.read.names import archived_name

Packing = Literal["gzip", "zstd", "zip", "tar", "workbook"]
_END_OF_ZIP, _LOCATOR = b"PK\x05\x06", b"PK\x06\x07"
_END_BYTES, _LOCATOR_BYTES, _COMMENT_BYTES = 22, 20, 65_535
_DOCUMENTS = {"word/document.xml": "a Word file", "ppt/presentation.xml": "a PowerPoint file"}
_DAMAGE = (zipfile.BadZipFile, struct.error, ValueError, OverflowError, NotImplementedError, EOFError)


class TooLarge(Rejected):
    """A limit on the whole upload: no file of it is read further."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive; `refusal` says why it must not be opened."""

    name: str
    open: Callable[[], IO[bytes]]
    refusal: Rejected | None = None


def packing_of(head: bytes) -> Packing | None:
    """How a file that begins with `head` (512 bytes of it, if there are as many) is packed; a zip may be a workbook."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd"
    if head.startswith((b"PK\x03\x04", _END_OF_ZIP)):
        return "zip"
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return "workbook"
    return "tar" if head[257:262] == b"ustar" else None


def is_workbook(path: Path) -> bool:
    """True if a zip archive is an Excel or OpenDocument workbook; raises Rejected if it is another kind of document."""
    with _open_zip(path) as archive:
        names = set(archive.namelist())
        for part, what in _DOCUMENTS.items():
            if part in names:
                raise Rejected("not_a_data_file", f"the file is {what}, not a table of rows", hint="save it as CSV")
        if "mimetype" not in names:
            return "xl/workbook.xml" in names or "xl/workbook.bin" in names
        try:
            with archive.open("mimetype") as file:
                return file.read(100).startswith(b"application/vnd.oasis.opendocument.spreadsheet")
        except (*_DAMAGE, RuntimeError):
            return False


def members(path: Path, packing: Literal["zip", "tar"]) -> Iterator[Member]:
    """The files of an archive, which is open meanwhile. Raises Rejected (`damaged_file`) and TooLarge."""
    found = _zip_members(path) if packing == "zip" else _tar_members(path)
    for count, member in enumerate(found, start=1):
        if count > ARCHIVE_ENTRIES:
            raise _too_many()
        yield member


def damaged(what: str, error: Exception) -> Rejected:
    """The refusal of something that cannot be unpacked."""
    return Rejected("damaged_file", f"the {what} is damaged: {str(error)[:200]}", hint="pack and upload it again")


def _too_many() -> TooLarge:
    return TooLarge(
        "too_many_files",
        f"the archive holds more than {ARCHIVE_ENTRIES} files",
        limit=ARCHIVE_ENTRIES,
        hint="put rows into fewer, larger files",
    )


def _open_zip(path: Path) -> zipfile.ZipFile:
    # The whole directory is read at once, so its size is looked at before.
    with path.open("rb") as file:
        if _directory_bytes(file) > ARCHIVE_DIRECTORY_BYTES:
            raise _too_many()
    try:
        return zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise damaged("zip archive", error) from None


def _directory_bytes(file: BinaryIO) -> int:
    """The size of a zip's directory, as its last record says (APPNOTE.TXT 4.3.14 to 4.3.16)."""
    start = max(0, file.seek(0, 2) - _END_BYTES - _COMMENT_BYTES - _LOCATOR_BYTES)
    file.seek(start)
    tail = file.read()
    end = tail.rfind(_END_OF_ZIP)
    if end < 0 or len(tail) < end + _END_BYTES:
        return 0
    size = int.from_bytes(tail[end + 12 : end + 16], "little")
    locator = tail[max(0, end - _LOCATOR_BYTES) : end]
    if not locator.startswith(_LOCATOR):
        return size
    # In zip64 the size is in a record that the locator points to.
    file.seek(min(int.from_bytes(locator[8:16], "little"), start + end))
    return int.from_bytes(file.read(56)[40:48], "little")


def _zip_members(path: Path) -> Iterator[Member]:
    with _open_zip(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                # Bit 11 says that the name is UTF-8, bit 0 that the bytes are encrypted (APPNOTE.TXT 4.4.4).
                name = archived_name(info.filename, is_unicode=bool(info.flag_bits & 0x800))
                yield Member(name, lambda info=info: archive.open(info), _zip_refusal(info))  # type: ignore[misc]


def _zip_refusal(info: zipfile.ZipInfo) -> Rejected | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return _no_file()
    if info.flag_bits & 0x1:
        return Rejected("encrypted_file", "a file is encrypted and cannot be read", hint="upload it without a password")
    return None


def _no_file() -> Rejected:
    return Rejected("unsafe_entry", "links and devices in archives are not read", hint="pack the files themselves")


class _Short:
    """A tar file whose headers, which tarfile reads as a whole, may not be long."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner = inner
        self.seek, self.tell = inner.seek, inner.tell

    def read(self, size: int) -> bytes:
        if size > MIB:
            raise tarfile.ReadError("a header is too long")
        return self._inner.read(size)


def _tar_members(path: Path) -> Iterator[Member]:
    try:
        with path.open("rb") as file, tarfile.TarFile(fileobj=_Short(file)) as archive:  # type: ignore[arg-type]
            while info := archive.next():
                archive.members = []  # type: ignore[attr-defined]  # they would be kept
                if info.isdir():
                    continue
                refusal = None if info.isreg() and not info.sparse else _no_file()
                yield Member(info.name, lambda info=info: _opened(archive, info), refusal)  # type: ignore[misc]
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise damaged("tar archive", error) from None


def _opened(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(info)
    if file is None:
        raise _no_file()
    return file
