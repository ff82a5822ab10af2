"""Small data sets that modelmill has never seen, made on the spot: rows in, CSV bytes out. Equal seeds, equal bytes."""

import csv
import io
import random
from collections.abc import Iterable, Sequence

GOOD = [
    "great",
    "lovely",
    "perfect",
    "warm",
    "bright",
    "fast",
    "clean",
    "fresh",
    "happy",
    "superb",
    "很好",
    "喜欢",
    "满意",
]
BAD = ["awful", "broken", "cold", "dirty", "late", "noisy", "rude", "slow", "stale", "torn", "很差", "失望", "退货"]
PLAIN = [
    "the",
    "room",
    "the",
    "shop",
    "the",
    "staff",
    "the",
    "shirt",
    "a",
    "table",
    "a",
    "window",
    "was",
    "and",
    "with",
    "very",
    "this",
    "that",
    "we",
    "酒店",
    "房间",
]


def to_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A CSV file in UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode()


def reviews(rows: int = 240, seed: int = 1) -> bytes:
    """`review,mood`: texts whose mood is given by the words in them."""
    rng = random.Random(seed)

    def text(mood: str) -> str:
        words = rng.choices(GOOD if mood == "good" else BAD, k=3) + rng.choices(PLAIN, k=9)
        rng.shuffle(words)
        return " ".join(words)

    moods = [rng.choice(["good", "bad"]) for _ in range(rows)]
    return to_csv(["review", "mood"], [(text(mood), mood) for mood in moods])


def machines(rows: int = 300, seed: int = 1) -> bytes:
    """`temperature,site,load,state`: a machine fails when it is hot, or loaded at the site `east`; some cells miss."""
    rng = random.Random(seed)
    table = []
    for _ in range(rows):
        temperature, load = round(rng.gauss(60, 15), 1), round(rng.random(), 3)
        site = rng.choice(["north", "east", "south"])
        failed = temperature > 72 or (site == "east" and load > 0.6)
        table.append([temperature if rng.random() > 0.05 else "", site, load, "failed" if failed else "fine"])
    return to_csv(["temperature", "site", "load", "state"], table)
