"""Unpacking: the files of an upload in; plain files that belong together as one data set, and its media, out."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.core.limits import TABLES
from modelmill.frames.media.files import Media, find, kind_of
from modelmill.frames.read.extract import Entry, Extraction
from modelmill.frames.read.file import read
from modelmill.frames.read.names import Split, is_ignored, split_of

_SHOWN = 5
"""Names of left-out files that a warning shows."""
_NO_TABLE = "upload CSV, TSV, JSON Lines, Parquet, Arrow or Excel, or an archive of such files"


@dataclass(frozen=True, slots=True)
class DataFile:
    """A plain file of rows; `split` is given if the upload is divided by names: train.csv, test/a.csv."""

    path: Path
    name: str
    """Posix path within the upload."""
    split: Split | None = None
    kind: Literal["table", "image", "audio"] = "table"


@dataclass(slots=True)
class Unpacked:
    """The tables of an upload, by name, which all have the same columns in any order, and its media."""

    files: list[DataFile]
    media: Media | None = None
    """Images or audio: their folders are classes, or a table says what they are."""
    warnings: list[DataWarning] = field(default_factory=list)


def unpack(files: Sequence[tuple[Path, str]], folder: Path) -> Unpacked:
    """Unpack an upload, a (path, name) for each file of it, into the empty `folder`; plain files stay where they are.

    Raises Rejected if nothing can be used: file_too_large, too_many_files, damaged_file, encrypted_file,
    nested_archive, unsafe_name, unsafe_entry, not_a_data_file. What is left out otherwise is a warning.
    """
    extraction = Extraction(folder, sum(path.stat().st_size for path, _ in files))
    for path, name in files:
        if len(files) == 1 or not is_ignored(name):
            extraction.add(path, name, alone=len(files) == 1)
    entries = sorted(extraction.entries, key=lambda entry: entry.name)
    if len(entries) == 1 and entries[0].path == files[0][0]:
        return Unpacked([DataFile(entries[0].path, entries[0].name)])
    media = find(folder, [entry.name for entry in entries])
    tables = _tables([entry for entry in entries if kind_of(entry.name) is None], extraction)
    if not tables and not (media and media.has_classes):
        raise _nothing(media, extraction.skipped)
    warnings = [*extraction.warnings, *_left_out(extraction.skipped), *(media.warnings if media else [])]
    return Unpacked(tables, media, warnings)


def _nothing(media: Media | None, skipped: list[tuple[str, Rejected]]) -> Rejected:
    if media:
        return Rejected(
            "missing_target",
            f"nothing says what the {len(media.files)} files of {media.kind} are",
            hint="put the files of each class into a folder of its name, or add a table of file names and labels",
        )
    return skipped[0][1] if skipped else Rejected("not_a_data_file", "the upload holds no rows", hint=_NO_TABLE)


def _left_out(skipped: list[tuple[str, Rejected]]) -> list[DataWarning]:
    """A warning for each reason, with the number of files."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for name, error in skipped:
        reasons[error.message].append(name[:100])
    return [
        DataWarning(
            code="files_left_out",
            message=f"{len(names)} of the upload's files left out, because {reason}: "
            + ", ".join(names[:_SHOWN])
            + (", …" if len(names) > _SHOWN else ""),
        )
        for reason, names in reasons.items()
    ]


def _tables(entries: list[Entry], extraction: Extraction) -> list[DataFile]:
    """The tables that make one data set: of several those with the same columns that hold the most bytes."""
    if len(extraction.entries) > 1:
        groups: dict[frozenset[str], list[Entry]] = defaultdict(list)
        for entry in entries:
            try:
                groups[_columns(entry)].append(entry)
            except Rejected as error:
                extraction.skipped.append((entry.name, error))
            if sum(map(len, groups.values())) > TABLES:
                raise Rejected("too_many_files", f"the upload has more than {TABLES} tables", limit=TABLES,
                               hint="put the rows into fewer, larger files")  # fmt: skip
        entries = max(groups.values(), key=_size, default=[])
        for other in groups.values():
            if other is not entries:
                extraction.skipped.extend((entry.name, _other_columns(other[0], entries[0])) for entry in other)
    splits = {entry.name: split_of(entry.name) for entry in entries}
    # A test file alone is all the rows that there are.
    divided = "train" in splits.values() and len(set(splits.values()) - {None}) > 1
    return [DataFile(entry.path, entry.name, splits[entry.name] if divided else None) for entry in entries]


def _size(entries: list[Entry]) -> int:
    return sum(entry.path.stat().st_size for entry in entries)


def _columns(entry: Entry) -> frozenset[str]:
    # Of hundreds of gigabytes in several files nobody has the time to read all for their header.
    reading = read(entry.path, entry.name, glance=True)
    batch = next(reading.batches, None)
    if batch is None and reading.bad:
        raise Rejected("too_few_rows", f"none of its {len(reading.bad)} rows can be read")
    if batch is None:
        raise Rejected("empty_file", "it has no rows")
    return frozenset(batch.schema.names)


def _other_columns(entry: Entry, reference: Entry) -> Rejected:
    columns, expected = _columns(entry), _columns(reference)
    parts = [
        f"{what} {', '.join(sorted(names)[:10])}"
        for what, names in (("lacks", expected - columns), ("adds", columns - expected))
        if names
    ]
    return Rejected("other_columns", f"the table has other columns than {reference.name} ({'; '.join(parts)})")
