"""What a run has to do: plain files, recipe and parts in; JSON that any step can start from, and the reverse, out."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from modelmill.core.data.sources import Source
from modelmill.core.data.version import DataWarning
from modelmill.core.model.recipe import Recipe
from modelmill.frames.parts import Part
from modelmill.frames.read.dialect import Dialect
from modelmill.frames.read.encoding import Encoding
from modelmill.frames.read.unpack import DataFile
from modelmill.frames.relay import Relay


@dataclass(frozen=True, slots=True)
class Work:
    """An upload as plain files that every step can open, and how to prepare it."""

    files: list[DataFile]
    recipe: Recipe
    warnings: list[DataWarning]
    """Of unpacking."""
    sources: list[Source]
    """The objects that the upload consists of."""


def leave_work(relay: Relay, work: Work) -> None:
    """Leave it to the steps."""
    files = [
        {"name": file.name, "split": file.split, "kind": file.kind, "place": relay.place_of(file.path)}
        for file in work.files
    ]
    document = {
        "files": files,
        "recipe": work.recipe.model_dump(mode="json"),
        "warnings": _warnings(work.warnings),
        "sources": [source.model_dump(mode="json") for source in work.sources],
    }
    relay.put("work.json", _json(document))


def take_work(relay: Relay) -> Work:
    """What was left."""
    document = json.loads(relay.get("work.json"))
    return Work(
        [
            DataFile(relay.opened(file["place"]), file["name"], file["split"], file["kind"])
            for file in document["files"]
        ],
        Recipe.model_validate(document["recipe"]),
        list(_warnings_of(document["warnings"])),
        [Source.model_validate(source) for source in document["sources"]],
    )


def leave_parts(relay: Relay, parts: Sequence[Part]) -> None:
    """Leave the parts of the files of the work."""
    relay.put("parts.json", pack_parts(parts))


def take_parts(relay: Relay, files: Sequence[DataFile]) -> list[Part]:
    """What was left."""
    return unpack_parts(relay.get("parts.json"), files)


def pack_parts(parts: Sequence[Part]) -> bytes:
    """Parts as JSON: files by name, and how text is read once for all parts of a file."""
    ways: list[Any] = []
    entries = []
    for part in parts:
        way = [
            None if part.encoding is None else _with_warnings(part.encoding),
            None if part.dialect is None else _with_warnings(part.dialect),
        ]
        if way not in ways:
            ways.append(way)
        entries.append([part.file.name, part.layout, part.start, part.end, ways.index(way)])
    return _json({"ways": ways, "parts": entries})


def unpack_parts(data: bytes, files: Sequence[DataFile]) -> list[Part]:
    """The inverse, for these files."""
    document = json.loads(data)
    by_name = {file.name: file for file in files}
    ways = [(_encoding(encoding), _dialect(dialect)) for encoding, dialect in document["ways"]]
    return [Part(by_name[name], layout, start, end, *ways[way]) for name, layout, start, end, way in document["parts"]]


def _with_warnings(value: Encoding | Dialect) -> dict[str, Any]:
    return {**asdict(value), "warnings": _warnings(value.warnings)}


def _encoding(document: dict[str, Any] | None) -> Encoding | None:
    return None if document is None else Encoding(**{**document, "warnings": _warnings_of(document["warnings"])})


def _dialect(document: dict[str, Any] | None) -> Dialect | None:
    if document is None:
        return None
    lists = {"header": tuple(document["header"]), "warnings": _warnings_of(document["warnings"])}
    return Dialect(**{**document, **lists})


def _warnings(warnings: Sequence[DataWarning]) -> list[dict[str, str]]:
    return [warning.model_dump() for warning in warnings]


def _warnings_of(document: list[dict[str, str]]) -> tuple[DataWarning, ...]:
    return tuple(DataWarning(**warning) for warning in document)


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
