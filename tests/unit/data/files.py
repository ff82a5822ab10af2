"""Small files that look like what people upload."""

import gzip
import random
from pathlib import Path

from modelmill.core.data.mask import Pseudonyms
from modelmill.core.model.recipe import Recipe
from modelmill.frames.prepare import Prepared, prepare

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


def prepared(
    folder: Path,
    content: str | bytes,
    name: str = "data.csv",
    recipe: Recipe | None = None,
    pseudonyms: Pseudonyms = PSEUDONYMS,
) -> Prepared:
    """Run the data phase over a file with this content."""
    path = folder / "upload"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return prepare(path, name, recipe or Recipe(), pseudonyms)


def zipped(content: str) -> bytes:
    """Content as a gzip file."""
    return gzip.compress(content.encode(), mtime=0)
