"""Files that stay in S3: an object in; something that is opened, sought in and read like a file on disk, out.

Readers of data ask a path for `open`, `stat` and `name` alone; a `Remote` answers these. What is read in order comes in
growing ranges, and the next one is under way while the present one is used.
"""

import io
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

from modelmill.aws import objects
from modelmill.core.limits import KIB, MIB

_FIRST, _LARGEST = 256 * KIB, 8 * MIB


@dataclass(frozen=True, slots=True)
class Remote:
    """One version of an object, of `size` bytes."""

    bucket: str
    key: str
    version_id: str
    size: int

    @property
    def name(self) -> str:
        """The last part of the key."""
        return PurePosixPath(self.key).name

    def stat(self) -> Any:
        """`st_size`, as of `Path.stat`."""
        return SimpleNamespace(st_size=self.size)

    def open(self, _mode: str = "rb", buffering: int = MIB) -> BinaryIO:
        """The object as a stream of bytes."""
        return cast(BinaryIO, io.BufferedReader(_Ranges(self), max(buffering, _FIRST)))

    def as_path(self) -> Path:
        """Itself, for readers, which are written for paths and ask for no more than is here."""
        return cast(Path, self)

    def read_range(self, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`."""
        return objects.get_range(self.bucket, self.key, start, end, self.version_id or None)


class _Ranges(io.RawIOBase):
    """A raw stream over ranges. One thread looks ahead as soon as reading is surely in order."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._position = 0
        self._start, self._data = 0, b""
        self._size = _FIRST
        self._ahead: tuple[int, Future[bytes]] | None = None
        self._pool = ThreadPoolExecutor(1)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._remote.size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._position >= self._remote.size:
            return 0
        if not self._start <= self._position < self._start + len(self._data):
            self._fetch(len(buffer))
        offset = self._position - self._start
        part = self._data[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def _fetch(self, wanted: int) -> None:
        in_order = bool(self._data) and self._position == self._start + len(self._data)
        if self._ahead is not None and self._ahead[0] == self._position:
            data = self._ahead[1].result()
        else:
            self._size = min(_LARGEST, 2 * self._size) if in_order else _FIRST
            end = min(self._remote.size, self._position + max(self._size, wanted))
            data = self._remote.read_range(self._position, end)
        self._start, self._data, self._ahead = self._position, data, None
        following = self._start + len(data)
        if in_order and self._size == _LARGEST and following < self._remote.size:
            end = min(self._remote.size, following + _LARGEST)
            self._ahead = following, self._pool.submit(self._remote.read_range, following, end)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        super().close()
