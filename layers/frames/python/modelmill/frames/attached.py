"""The images or audio of an upload while its rows are prepared: cells in; bytes, and what the report shows, out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from modelmill.frames.media import Media
from modelmill.frames.media.audio import waveform
from modelmill.frames.media.cell import load_cell
from modelmill.frames.media.facts import MediaFacts
from modelmill.frames.media.image import thumbnail

SHOWN = 24


@dataclass
class Attached:
    """The media, and what was found out about them so far."""

    media: Media
    facts: MediaFacts

    def load(self, cell: str) -> bytes:
        """The bytes of the file that a cell stands for: by its digest, as cleaning and masks may change its path."""
        digest = cell.partition(":")[0]
        return load_cell(self.media.folder, f"{digest}:{self._names[digest]}")

    @cached_property
    def _names(self) -> dict[str, str]:
        """Digest → path, once all files were read."""
        return {each.digest: each.name for each in self.facts.prints}

    def document(self, cells: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """`media` of profile.json; of these cells with their targets some are shown, of each class as many."""
        by_class: dict[str, list[str]] = {}
        for cell, target in cells:
            by_class.setdefault(target, []).append(cell)
        each = max(1, SHOWN // max(1, len(by_class)))
        chosen = [(label, cell) for label in sorted(by_class) for cell in by_class[label][:each]][:SHOWN]
        picture = waveform if self.media.kind == "audio" else thumbnail
        samples = [
            {"label": label, "name": PurePosixPath(cell.partition(":")[2]).name, "picture": picture(self.load(cell))}
            for label, cell in chosen
        ]
        return {**self.facts.as_json(), "samples": samples}
