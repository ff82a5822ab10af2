"""Extraction: the files of an upload, packed or not, in; plain files on disk, and what was left out and why, out.

A file is plain, compressed (gzip, zstd), a workbook (which becomes CSV) or an archive (zip, tar). Archives in archives
are refused; compressed files and workbooks in them are not. One bad file does not lose the others: only a limit on the
whole upload (`TooLarge`) ends everything.
"""

import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Literal, cast

import pyarrow as pa

from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.core.limits import MIB, UNPACK_FREE_BYTES, UNPACK_RATIO, UNPACKED_BYTES
from modelmill.frames.media.files import kind_of
from modelmill.frames.read.archive import Member, TooLarge, damaged, is_workbook, members, packing_of
from modelmill.frames.read.excel import convert
from modelmill.frames.read.names import is_ignored, safe_name

_HEAD_BYTES = 512
_COMPRESSED = {".gz", ".gzip", ".zst", ".zstd"}
# What gzip, Arrow's zstd, zipfile with its three methods and tarfile raise for bytes that they cannot unpack.
_DAMAGE = (EOFError, OSError, RuntimeError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile,
           tarfile.TarError)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A plain file of the upload: where it lies, its posix path within the upload, and its first 512 bytes."""

    path: Path
    name: str
    head: bytes


@dataclass(slots=True)
class Extraction:
    """What the files of an upload, added one after the other, hold. `packed` is the size of them all in bytes."""

    folder: Path
    packed: int
    entries: list[Entry] = field(default_factory=list)
    skipped: list[tuple[str, Rejected]] = field(default_factory=list)
    warnings: list[DataWarning] = field(default_factory=list)
    _written: int = 0
    _names: set[str] = field(default_factory=set)

    def add(self, path: Path, name: str, *, alone: bool) -> None:
        """Extract one file of the upload; an archive that is not `alone` puts its files into a folder of its name."""
        try:
            self._add(path, name, alone=alone)
        except TooLarge:
            raise
        except Rejected as error:
            self.skipped.append((name, error))

    def _add(self, path: Path, name: str, *, alone: bool) -> None:
        name = safe_name(name)
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if packing_of(head) in ("gzip", "zstd"):
            with path.open("rb") as file:
                entry = self._write(file, name)
            path, name, head = entry.path, entry.name, entry.head
        else:
            path = self._at_hand(path, name, head, alone=alone)
        packing = packing_of(head)
        if packing == "tar" or (packing == "zip" and not is_workbook(path)):
            prefix = "" if alone else PurePosixPath(name).stem + "/"
            for member in members(path, "tar" if packing == "tar" else "zip"):
                self._add_member(member, prefix)
            self._discard(path)
        else:
            self.entries.append(self._plain(Entry(path, name, head)))

    def _at_hand(self, path: Path, name: str, head: bytes, *, alone: bool) -> Path:
        """The file where others of the upload are found; one that is read where it lies, elsewhere, stays there."""
        if not isinstance(path, Path):
            return path
        self._take(path.stat().st_size)
        if alone or packing_of(head) is not None:
            return path
        # Media are looked for by their names within the folder.
        target = self._new(name)
        target.symlink_to(path.resolve())
        return target

    def _add_member(self, member: Member, prefix: str) -> None:
        name = member.name
        try:
            name = safe_name(prefix + safe_name(name))
            if is_ignored(name):
                return
            if member.refusal:
                raise member.refusal
            entry = self._write(_opened(member), name)
            self.entries.append(self._plain(entry))
        except TooLarge:
            raise
        except Rejected as error:
            # Without what it was raised through: a hundred thousand of these would keep all of that alive.
            self.skipped.append((name, error.with_traceback(None)))

    def _plain(self, entry: Entry) -> Entry:
        """The entry itself, or a workbook as CSV; whatever is still packed is refused."""
        packing = packing_of(entry.head)
        if packing is None:
            return entry
        if packing == "workbook" or (packing == "zip" and is_workbook(entry.path)):
            target = self._new(entry.name + ".csv")
            self.warnings.extend(convert(entry.path, target))
            self._discard(entry.path)
            self._take(target.stat().st_size)
            with target.open("rb") as file:
                return Entry(target, entry.name, file.read(_HEAD_BYTES))
        self._discard(entry.path)
        raise Rejected(
            "nested_archive",
            "a packed file in a packed file is not unpacked",
            hint="pack the files once, into one zip archive",
        )

    def _discard(self, path: Path) -> None:
        """Delete a file that extraction made and that nobody needs."""
        if self.folder in path.parents:
            path.unlink()

    def _new(self, name: str) -> Path:
        """A place for a file that is not there yet."""
        target = self.folder / name
        if name in self._names or target.exists():
            raise Rejected("duplicate_name", "two files of the upload have the same name", hint="rename one of them")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise Rejected("duplicate_name", "a file and a folder have the same name", hint="rename one") from None
        self._names.add(name)
        return target

    def _write(self, source: IO[bytes], name: str) -> Entry:
        """Store a stream, decompressed if it is gzip or zstd, and close it; what is damaged leaves no file."""
        with io.BufferedReader(cast(io.RawIOBase, source), MIB) as stream:
            # An empty image is a row that cannot be used, as a damaged one is; an empty table is nothing.
            if not (start := _peek(stream)) and kind_of(name) is None:
                raise Rejected("empty_file", "it is empty", hint="upload files with rows")
            packing = packing_of(start)
            if packing in ("gzip", "zstd") and PurePosixPath(name).suffix.lower() in _COMPRESSED:
                name = str(PurePosixPath(name).with_suffix(""))
            target = self._new(name)
            head = b""
            try:
                with target.open("xb") as file:
                    for chunk in _chunks(stream, packing):
                        head = head or chunk[:_HEAD_BYTES]
                        self._take(len(chunk))
                        file.write(chunk)
            except Rejected:
                target.unlink()
                raise
        return Entry(target, name, head)

    def _take(self, size: int) -> None:
        """Count unpacked bytes; raises TooLarge."""
        self._written += size
        if self._written > UNPACKED_BYTES:
            raise TooLarge(
                "file_too_large",
                f"the upload unpacks to more than {UNPACKED_BYTES // MIB} MiB",
                limit=UNPACKED_BYTES,
                hint="upload a sample of the rows",
            )
        if self._written > UNPACK_FREE_BYTES and self._written > UNPACK_RATIO * self.packed:
            raise TooLarge(
                "file_too_large",
                f"the upload unpacks to more than {UNPACK_RATIO} times its size, as no data does",
                limit=UNPACK_RATIO,
                hint="upload it less compressed if the rows are real",
            )


def _opened(member: Member) -> IO[bytes]:
    try:
        return member.open()
    except _DAMAGE as error:
        raise damaged("file", error) from None


def _peek(stream: "io.BufferedReader[io.RawIOBase]") -> bytes:
    try:
        return stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    except _DAMAGE as error:
        raise damaged("file", error) from None


def _chunks(stream: "io.BufferedReader[io.RawIOBase]", packing: str | None) -> Iterator[bytes]:
    """The bytes of a stream, decompressed if they are packed so."""
    kind = cast(Literal["gzip", "zstd", "file"], packing if packing in ("gzip", "zstd") else "file")
    try:
        if kind == "zstd":
            opened: IO[bytes] = pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd")
        else:
            opened = gzip.GzipFile(fileobj=stream) if kind == "gzip" else stream  # type: ignore[assignment]
        with opened:
            while chunk := opened.read(MIB):
                yield chunk
    except _DAMAGE as error:
        raise damaged(kind if kind == "file" else f"{kind} file", error) from None
