"""The first step: a run in; its data prepared at once if they are few, else the engine and what it starts from, out."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelmill.aws import uploads
from modelmill.aws.records.mask_key import pseudonyms
from modelmill.core.data.planner import Way, choose
from modelmill.core.data.sources import Source
from modelmill.core.errors import Rejected
from modelmill.core.limits import FETCH_BYTES, KIB
from modelmill.core.model.recipe import Recipe, parse_recipe
from modelmill.frames.describe import Run
from modelmill.frames.parts import Part, list_parts
from modelmill.frames.prepare import prepare_unpacked
from modelmill.frames.read.archive import packing_of
from modelmill.frames.read.unpack import Unpacked, unpack
from modelmill.frames.recipe_file import read_recipe
from modelmill.frames.work import Work, leave_parts, leave_work
from preparing.store import relay_of, store


def start(run: Run, document: dict[str, Any] | None) -> dict[str, Any]:
    """The reply of a prepared run, or `{"status": "map", "parts"}`, or `{"status": "spark"}`.

    The recipe is the workflow's (a run started over the API) or the one that lies beside the file.
    """
    data = uploads.recipe_bytes(run.upload) if document is None else None
    recipe = parse_recipe(document) if data is None else read_recipe(data)
    run = replace(run, sources=uploads.sources(run.upload))
    files = uploads.named(run.sources)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("unpacked", "work", "version"):
            Path(folder, name).mkdir()
        if sum(source.size or 0 for source, _ in files) > FETCH_BYTES:
            return _start_afar(run, recipe, files, Path(folder))
        return _start_here(run, recipe, files, Path(folder))


def _start_here(run: Run, recipe: Recipe, files: Sequence[tuple[Source, str]], folder: Path) -> dict[str, Any]:
    """Of an upload that the disk holds."""
    fetched = uploads.fetch(run.upload, folder / "upload", run.sources)
    unpacked = unpack(fetched, folder / "unpacked")
    way = _way(unpacked, recipe)
    if way == "lambda":
        target = folder / "version"
        prepared = prepare_unpacked(unpacked, recipe, pseudonyms(run.tenant), folder / "work", target)
        return store(prepared, recipe, run, target)
    parts = list_parts(unpacked.files) if way == "map" else []
    relay = relay_of(run)
    # What was packed is left as plain files, of which every part reads its range; others are read where they lie.
    where = {path.resolve(): source for (path, _), (source, _) in zip(fetched, files, strict=True)}
    moved = [
        replace(file, path=uploads.remote(where[path]))
        if (path := file.path.resolve()) in where
        else replace(file, path=relay.keep(f"files/{number:05}", file.path))
        for number, file in enumerate(unpacked.files)
    ]
    by_name = {file.name: file for file in moved}
    return _leave(
        run,
        Work(moved, recipe, unpacked.warnings, list(run.sources)),
        way,
        [replace(part, file=by_name[part.file.name]) for part in parts],
    )


def _start_afar(run: Run, recipe: Recipe, files: Sequence[tuple[Source, str]], folder: Path) -> dict[str, Any]:
    """Of a larger upload, which is read where it lies."""
    size = sum(source.size or 0 for source, _ in files)
    places = [(uploads.remote(source), name) for source, name in files]
    choose(size, recipe.prepare, pieces=not any(_is_packed(path) for path, _ in places))
    unpacked = unpack(places, folder / "unpacked")
    way = _way(unpacked, recipe)
    parts = list_parts(unpacked.files) if way == "map" else []
    return _leave(run, Work(unpacked.files, recipe, unpacked.warnings, list(run.sources)), way, parts)


def _way(unpacked: Unpacked, recipe: Recipe) -> Way:
    """The engine for plain files. Images and sounds are prepared by one function: their files lie on one disk."""
    engine = recipe.prepare.engine
    if unpacked.media is None:
        return choose(sum(file.path.stat().st_size for file in unpacked.files), recipe.prepare)
    if engine in ("map", "spark"):
        raise Rejected(
            "bad_recipe",
            f"prepare.engine: {engine} prepares tables only, not {unpacked.media.kind} files",
            hint="leave prepare.engine out of the recipe",
        )
    return "lambda"


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return packing_of(file.read(KIB)) is not None


def _leave(run: Run, work: Work, way: Way, parts: Sequence[Part]) -> dict[str, Any]:
    relay = relay_of(run)
    for part in parts:
        if part.layout == "whole":
            choose(part.end, work.recipe.prepare, pieces=False)
    leave_work(relay, work)
    if way == "spark":
        return {"status": "spark"}
    leave_parts(relay, parts)
    return {"status": "map", "parts": len(parts)}
