"""Which files of an upload are images or audio: names in; each with the class and the split of its folders out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal

from modelmill.core.data.version import DataWarning
from modelmill.frames.read.names import Split, is_ignored, split_of

Kind = Literal["image", "audio"]
# What cannot be decoded is listed too: such a file is a row, and goes to the quarantine as one.
_IMAGES = set("png jpg jpeg jpe jfif webp gif bmp tif tiff heic heif avif jp2 svg ico psd".split())  # noqa: SIM905
_AUDIO = set("wav wave flac mp3 ogg oga opus m4a aac aif aiff wma amr".split())  # noqa: SIM905
Folders = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file: its posix path within the upload, and what its folders say of it."""

    name: str
    label: str | None = None
    split: Split | None = None


@dataclass(frozen=True)
class Media:
    """The images, or the audio, of an upload, which lie in `folder`, in the order of their names."""

    folder: Path
    kind: Kind
    files: tuple[MediaFile, ...]
    warnings: list[DataWarning] = field(default_factory=list)

    @cached_property
    def labels(self) -> Counter[str]:
        """Class folders, and how many files each of them has."""
        return Counter(file.label for file in self.files if file.label is not None)

    @property
    def has_classes(self) -> bool:
        """True if the folders are classes; else a table must say what the files are."""
        return len(self.labels) > 1

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that the folders give, or none."""
        named = {file.split for file in self.files}
        order: tuple[Split, ...] = ("train", "validation", "test")
        return tuple(split for split in order if split in named)


def kind_of(name: str) -> Kind | None:
    """What a file is by the end of its name."""
    suffix = PurePosixPath(name).suffix[1:].lower()
    return "image" if suffix in _IMAGES else "audio" if suffix in _AUDIO else None


def find(folder: Path, names: Sequence[str]) -> Media | None:
    """The images or audio among `names`, posix paths within `folder`; of both kinds that with more files."""
    kinds = {name: found for name in names if not is_ignored(name) and (found := kind_of(name))}
    if not kinds:
        return None
    kind: Kind = "audio" if 2 * list(kinds.values()).count("audio") > len(kinds) else "image"
    ours = sorted(name for name, other in kinds.items() if other == kind)
    files = tuple(MediaFile(name, label, split) for name, (label, split) in zip(ours, _placed(ours), strict=True))
    return Media(folder, kind, files, _left_out([name for name in sorted(kinds) if kinds[name] != kind], kind))


def _left_out(others: list[str], kind: Kind) -> list[DataWarning]:
    if not others:
        return []
    message = f"{len(others)} files left out, because most media of the upload are {kind}: {', '.join(others[:5])}"
    return [DataWarning(code="files_left_out", message=message)]


def _placed(names: Sequence[str]) -> list[tuple[str | None, Split | None]]:
    """Class and split of each file. The split may stand above the classes or below: train/cat/1.png, cat/train/1.png.

    A folder that all files share says nothing, wherever it stands: data/train/cat/images/1.png.
    """
    folders = _without_shared([PurePosixPath(name).parts[:-1] for name in names])
    splits: list[Split | None] = [None] * len(names)
    for place in (0, -1):
        if found := _splits_at(folders, place):
            splits = list(found)
            folders = _without_shared([parts[1:] if place == 0 else parts[:-1] for parts in folders])
            break
    return [(parts[-1] if parts else None, split) for parts, split in zip(folders, splits, strict=True)]


def _without_shared(folders: list[Folders]) -> list[Folders]:
    while len({parts[:1] for parts in folders}) == 1 and folders[0]:
        folders = [parts[1:] for parts in folders]
    while len({parts[-1:] for parts in folders}) == 1 and folders[0]:
        folders = [parts[:-1] for parts in folders]
    return folders


def _splits_at(folders: list[Folders], place: Literal[0, -1]) -> list[Split] | None:
    """The split of each file if all folders at a place name one, training among them: a class may be named train."""
    named: dict[str, Split | None] = {}
    for parts in folders:
        if not parts:
            return None
        if parts[place] not in named:
            named[parts[place]] = split_of(f"{parts[place]}/-")
    found = set(named.values())
    if None in found or "train" not in found or len(found) < 2:
        return None
    return [split for parts in folders if (split := named[parts[place]])]
