"""Images and sounds as they come, bytes or base64 text of a request, in; a file's bytes, or why there are none, out."""

import base64
import binascii
import re
from typing import Any, Protocol

from numpy.typing import NDArray

from modelmill.core.errors import ModelmillError
from modelmill.core.limits import MEDIA_BYTES, MIB

_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)


class Media(Protocol):
    """A field of images or of sounds."""

    word: str
    """For messages, and the name that the only such field of a model goes by."""

    def read(self, value: object, where: str) -> NDArray[Any]:
        """A cell as the array that the model's input holds for it; raises ModelmillError naming `where`."""


def file_of(value: object, word: str, where: str) -> bytes:
    """The bytes of the image or sound (`word`) in a cell; raises ModelmillError (400, or 413 for its size)."""
    hint = f"send the file's bytes as base64 text, or a data: URL, of one {word}"
    if isinstance(value, str):
        _check_size(len(value) * 3 // 4, word, where)
        prefix = _DATA_URL.match(value)
        try:
            value = base64.b64decode("".join((value[prefix.end() :] if prefix else value).split()), validate=True)
        except (binascii.Error, ValueError):
            raise ModelmillError("not_base64", f"{where} is not base64 text", hint=hint) from None
    if not isinstance(value, bytes):
        raise ModelmillError("bad_value", f"{where} must be base64 text, got {type(value).__name__}", hint=hint)
    _check_size(len(value), word, where)
    if not value:
        raise bad_media(where, f"the {word} is empty")
    return value


def bad_media(where: str, why: str) -> ModelmillError:
    """The refusal of a file that cannot be read."""
    return ModelmillError("bad_media", f"{where}: {why}")


def too_large(where: str, why: str, limit: int) -> ModelmillError:
    """The refusal of a file that would take too much to read."""
    return ModelmillError("media_too_large", f"{where}: {why}", status=413, limit=limit, hint="send a smaller one")


def _check_size(size: int, word: str, where: str) -> None:
    if size > MEDIA_BYTES:
        raise too_large(where, f"the {word} has more than {MEDIA_BYTES // MIB} MiB", MEDIA_BYTES)
