"""Small files that look like what people upload."""

import gzip
import json
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modelmill.core.data.mask import Pseudonyms
from modelmill.core.data.split import SPLITS, file_of
from modelmill.core.data.version import DatasetVersion
from modelmill.core.model.recipe import Recipe
from modelmill.frames.describe import Run, describe
from modelmill.frames.finish import Prepared
from modelmill.frames.prepare import prepare
from modelmill.frames.write import write

RUN = Run("20261124T101530-f00dfeed00", "default", "reviews", {"bucket": "b", "key": "default/reviews/a/f", "size": 1})

_GOOD = ["lovely", "warm", "soft", "perfect", "beautiful", "comfortable", "great", "flattering"]
_BAD = ["scratchy", "thin", "ugly", "cheap", "disappointing", "loose", "awful", "faded"]
_FILLER = [
    "the",
    "dress",
    "is",
    "very",
    "and",
    "I",
    "wore",
    "it",
    "to",
    "work",
    "with",
    "my",
    "shoes",
    "on",
    "a",
    "sunny",
    "day",
    "in",
    "town",
]


def reviews(rows: int = 60, seed: int = 1) -> list[tuple[str, str]]:
    """(review, label) pairs, all different, both labels equally often."""
    dice = random.Random(seed)
    made = []
    for number in range(rows):
        words = dice.choices(_FILLER, k=8) + dice.choices(_GOOD if number % 2 else _BAD, k=3)
        made.append((" ".join([*words, f"piece {number}"]), "yes" if number % 2 else "no"))
    return made


def reviews_csv(rows: int = 60, header: str = "review,recommended") -> str:
    """Reviews as CSV."""
    return "\n".join([header, *(f'"{text}",{label}' for text, label in reviews(rows))]) + "\n"


def flowers_csv(rows: int = 60) -> str:
    """Two numbers, a colour and a species that depends on them."""
    dice = random.Random(2)
    lines = ["length,width,colour,species"]
    for number in range(rows):
        kind = number % 3
        colour = dice.choice(["red", "blue", ""])
        lines.append(f"{dice.gauss(kind * 3, 1):.3f},{dice.gauss(5, 1):.3f},{colour},kind-{kind}")
    return "\n".join(lines) + "\n"


PSEUDONYMS = Pseudonyms(b"a key of tests only, of 32 bytes..")


@dataclass(frozen=True)
class Outcome:
    """Prepared data with its files: the rows of each split, the quarantine, and the files beside them."""

    prepared: Prepared
    recipe: Recipe
    folder: Path

    def __getattr__(self, name: str) -> Any:
        return getattr(self.prepared, name)

    @property
    def splits(self) -> dict[str, pa.Table]:
        """The stored rows."""
        return {
            name: pa.concat_tables(
                pq.read_table(self.folder / file_of(name, index, self.decisions.buckets))
                for index in range(self.decisions.buckets)
            )
            for name in SPLITS
        }

    @property
    def quarantine(self) -> list[dict[str, Any]]:
        """The lines of quarantine.jsonl."""
        return [json.loads(line) for line in (self.folder / "quarantine.jsonl").read_text("utf-8").splitlines()]

    def version(self, run: Run = RUN) -> DatasetVersion:
        """What describes them."""
        return describe(self.prepared, self.recipe, run)[0]

    def stored(self) -> dict[str, bytes]:
        """All files of the version."""
        write(self.prepared, self.version(), self.folder)
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


def prepared(
    folder: Path,
    content: str | bytes,
    name: str = "data.csv",
    recipe: Recipe | None = None,
    pseudonyms: Pseudonyms = PSEUDONYMS,
) -> Outcome:
    """Run the data phase over a file with this content."""
    place = Path(tempfile.mkdtemp(dir=folder))
    path, work, target = place / "upload", place / "work", place / "version"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    work.mkdir()
    target.mkdir()
    recipe = recipe or Recipe()
    return Outcome(prepare([(path, name)], recipe, pseudonyms, work, target), recipe, target)


def zipped(content: str) -> bytes:
    """Content as a gzip file."""
    return gzip.compress(content.encode(), mtime=0)
