"""What a nasty file is: how to make it, under which name it comes, and what must happen to it."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

WORDS = ("dress", "is", "very", "and", "wore", "it", "to", "work", "with", "shoes", "on", "a", "sunny", "day", "in")

Upload = bytes | Mapping[str, bytes]
"""One file, or several by their names."""
Make = Callable[[], Upload]
OK = "ok"


@dataclass(frozen=True, slots=True)
class Case:
    """One upload and what becomes of it: `ok` or the code of refusal; of `ok` the rows read, those quarantined by
    reason, and warnings that must be among those given.
    """

    make: Make
    outcome: str
    file: str = "data.csv"
    read: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


Cases = dict[str, Case]


def reviews(rows: int = 60) -> list[tuple[str, str]]:
    """(text, label), all different, both labels equally often."""
    dice = random.Random(1)
    return [(f"{' '.join(dice.choices(WORDS, k=9))} piece {n}", "yes" if n % 2 else "no") for n in range(rows)]


def refused(make: Make, code: str, file: str = "data.csv") -> Case:
    """An upload that no version can be made of."""
    return Case(make, code, file)


def taken(make: Make, read: int, file: str = "data.csv", warns: tuple[str, ...] = (), **reasons: int) -> Case:
    """An upload that makes a version; `reasons` are all that is quarantined."""
    return Case(make, OK, file, read, reasons, warns)


def table(rows: int = 60, end: str = "\n", header: str = "review,label", delimiter: str = ",") -> str:
    """A good table of two columns, to be spoilt."""
    lines = (f'"{text}"{delimiter}{label}' for text, label in reviews(rows))
    return end.join([header, *lines]) + end


def later(rows: int = 30, header: str = "review,label") -> bytes:
    """A good table of other rows than `table` has."""
    return "\n".join([header, *table(60 + rows).splitlines()[61:], ""]).encode()


def with_row(row: str, rows: int = 60) -> bytes:
    """A good table with one more row at its end."""
    return (table(rows) + row + "\n").encode()


def labelled(labels: list[str], header: str = "review,label") -> bytes:
    """One different text a label."""
    lines = (f'"{text}",{label}' for (text, _), label in zip(reviews(len(labels)), labels, strict=True))
    return ("\n".join([header, *lines]) + "\n").encode("utf-8", "surrogatepass")


def numbered(cells: list[str], rows: int = 120) -> bytes:
    """A table of numbers with these cells in one column, again and again."""
    lines = (f"{n % 7}.{n % 10},{cells[n % len(cells)]},{'high' if n % 7 > 3 else 'low'}" for n in range(rows))
    return ("\n".join(["a,b,grade", *lines]) + "\n").encode()
