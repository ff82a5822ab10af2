"""Names of files in an upload: what a browser or an archive says in; a safe path, a split or "ignore it" out."""

import re
import unicodedata
from pathlib import PurePosixPath
from typing import Literal

from modelmill.core.errors import Rejected
from modelmill.core.limits import FILE_NAME_BYTES, PATH_BYTES

Split = Literal["train", "validation", "test"]
_SPLITS: dict[str, Split] = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DRIVE = re.compile(r"[A-Za-z]:")
_WORDS = re.compile(r"[^a-z]+")
_NOT_DATA = {"thumbs.db", "desktop.ini", "__macosx"}
_ABOUT = re.compile(r"(readme|licen[cs]e|copying|notice|authors|changelog|citation)[^.]*(\.(md|txt|rst|html?|pdf))?$")


def safe_name(name: str) -> str:
    """The name as a relative posix path in Unicode NFC; raises Rejected (`unsafe_name`) if it would lead elsewhere."""
    path = unicodedata.normalize("NFC", name.replace("\\", "/"))
    parts = [part for part in path.split("/") if part not in ("", ".")]
    try:
        too_long = len(path.encode()) > PATH_BYTES or any(len(part.encode()) > FILE_NAME_BYTES for part in parts)
    except UnicodeEncodeError:
        raise _unsafe("it is not Unicode") from None
    if path.startswith("/") or _DRIVE.match(path) or ".." in parts:
        raise _unsafe("it leads out of the archive")
    if not parts or too_long:
        raise _unsafe("it is empty or too long")
    if _CONTROL.search(path):
        raise _unsafe("it has control characters")
    return "/".join(parts)


def _unsafe(why: str) -> Rejected:
    return Rejected("unsafe_name", f"the name of a file in the upload cannot be used: {why}", hint="rename the file")


def is_ignored(name: str) -> bool:
    """True for what systems and people put beside data: hidden files, Spark's `_SUCCESS`, thumbnails, READMEs."""
    parts = name.lower().split("/")
    hidden = any((part[:1] == "." and part not in (".", "..")) or part in _NOT_DATA for part in parts)
    return hidden or parts[-1].startswith("_") or bool(_ABOUT.match(parts[-1]))


def split_of(name: str) -> Split | None:
    """The split that a file's stem or else the nearest folder names: `test/a.csv`, `reviews_dev.csv`, `train-00001`."""
    path = PurePosixPath(name.lower())
    stem = path.name.split(".")[0]
    for part in (stem, *reversed(path.parts[:-1])):
        named = {_SPLITS[word] for word in _WORDS.split(part) if word in _SPLITS}
        if len(named) == 1:
            return named.pop()
    return None


def archived_name(raw: str, *, is_unicode: bool) -> str:
    """A name of a zip archive. Those that do not say that they are UTF-8 were read as code page 437."""
    if is_unicode or raw.isascii():
        return raw
    for codec in ("utf-8", "gb2312"):
        try:
            return raw.encode("cp437").decode(codec)
        except UnicodeError:
            continue
    return raw
