"""Text of a plain file: a path in; its encoding, found by checking all of it, and a stream of UTF-8 bytes out."""

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from modelmill.core.data.version import DataWarning
from modelmill.core.limits import KIB, MIB
from modelmill.frames.read.source import utf16_without_mark

_COMMON_CJK = re.compile(r"[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef\u2010-\u2026]")
_SAMPLE_CHARACTERS = 256 * KIB
_CHUNK = 4 * MIB


@dataclass(frozen=True, slots=True)
class Encoding:
    """A Python codec; `errors` is "replace" where a few bytes are bad."""

    codec: str
    errors: str = "strict"
    warnings: tuple[DataWarning, ...] = ()


def _chunks(path: Path, most: int | None = None) -> Iterator[bytes]:
    left = path.stat().st_size if most is None else most
    with path.open("rb") as stream:
        while chunk := stream.read(min(_CHUNK, left)):
            yield chunk
            left -= len(chunk)


def _is_utf8(path: Path, most: int | None) -> bool:
    """True if all bytes, or the first `most`, are UTF-8.

    Arrow checks them ten times faster than Python decodes them, and without a copy.
    """
    rest = b""
    for chunk in _chunks(path, most):
        data = rest + chunk
        # A character that the end cuts goes on in the next chunk; its first byte is 11xxxxxx, the others 10xxxxxx.
        cut = next((back for back in range(1, min(4, len(data) + 1)) if data[-back] & 0xC0 != 0x80), 0)
        whole = len(data) - cut if cut and data[-cut] >= 0xC0 else len(data)
        if not _is_valid(data, whole):
            return False
        rest = data[whole:]
    return most is not None or _is_valid(rest, len(rest))


def _is_valid(data: bytes, size: int) -> bool:
    offsets = pa.py_buffer(np.array([0, size], np.int64))
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _decodes(path: Path, codec: str, most: int | None) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        for chunk in _chunks(path, most):
            decoder.decode(chunk)
        decoder.decode(b"", final=most is None)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(path: Path, codec: str) -> Iterator[str]:
    """The first characters outside ASCII of the file, with U+FFFD for bad bytes."""
    decoder = codecs.getincrementaldecoder(codec)("replace")
    left = _SAMPLE_CHARACTERS
    for chunk in _chunks(path):
        text = re.sub(r"[\x00-\x7f]+", "", decoder.decode(chunk))[:left]
        yield text
        left -= len(text)
        if left <= 0:
            return


def detect(path: Path, most: int | None = None) -> Encoding:
    """UTF-16 by its mark, then what decodes: UTF-8, UTF-8 with few bad bytes, GB18030, Windows-1252 at last.

    By all bytes of the file, or by the first `most` of a larger one.
    """
    with path.open("rb") as stream:
        head = stream.read(64 * 1024)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Encoding("utf-16", "replace")
    if unmarked := utf16_without_mark(head):
        return Encoding(unmarked, "replace")
    if _is_utf8(path, most):
        return Encoding("utf-8-sig")
    foreign = "".join(_decoded(path, "utf-8"))
    if len(foreign) > 10 * foreign.count("\ufffd"):
        return Encoding("utf-8-sig", "replace", (_warning("some bytes are not UTF-8 and were replaced"),))
    if _decodes(path, "gb18030", most):
        foreign = "".join(_decoded(path, "gb18030"))
        if len(_COMMON_CJK.findall(foreign)) > 0.8 * len(foreign):
            return Encoding("gb18030", "strict", (_warning("the file is not UTF-8; it was read as GB18030"),))
    return Encoding("cp1252", "replace", (_warning("the file is not UTF-8; it was read as Windows-1252"),))


def _warning(message: str) -> DataWarning:
    return DataWarning(code="encoding_guessed", message=f"{message}; save it as UTF-8 to be sure")


class _Recoded(io.RawIOBase):
    """UTF-8 bytes of a stream in another encoding."""

    def __init__(self, inner: BinaryIO, encoding: Encoding) -> None:
        self._inner = inner
        self._decoder = codecs.getincrementaldecoder(encoding.codec)(encoding.errors)
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready and not self._ended:
            chunk = self._inner.read(MIB)
            self._ended = not chunk
            self._ready = self._decoder.decode(chunk, final=self._ended).encode("utf-8", "replace")
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        self._inner.close()
        super().close()


def open_utf8(path: Path, encoding: Encoding) -> BinaryIO:
    """The file's text as UTF-8 bytes without a byte order mark."""
    stream = path.open("rb", buffering=MIB)
    if encoding.codec == "utf-8-sig" and encoding.errors == "strict":
        if stream.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            stream.seek(0)
        return stream
    return io.BufferedReader(_Recoded(stream, encoding), MIB)
