"""Uploads whose rows are split: files and the fields of a recipe in; the outcome, and what to ask of it, out."""

import io
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modelmill.core.model.recipe import parse_recipe
from modelmill.frames.prepare import prepare_unpacked
from modelmill.frames.read.unpack import unpack
from modelmill.frames.steps import WHOLE, Grain
from tests.unit.data.files import PSEUDONYMS, Outcome, reviews

Files = dict[str, str | bytes]


def split(folder: Path, files: Files | str, grain: Grain = WHOLE, **recipe: Any) -> Outcome:
    """The outcome of an upload of these files (one CSV if it is a text) under a recipe of these fields."""
    place = Path(mkdtemp(dir=folder))
    work, target = place / "work", place / "version"
    (work / "unpacked").mkdir(parents=True)
    target.mkdir()
    paths = []
    for number, (name, content) in enumerate(({"data.csv": files} if isinstance(files, str) else files).items()):
        path = place / f"{number}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        paths.append((path, name))
    read = parse_recipe(recipe)
    unpacked = unpack(paths, work / "unpacked")
    return Outcome(prepare_unpacked(unpacked, read, PSEUDONYMS, work, target, grain=grain), read, target)


def table(rows: int, seed: int = 3, **columns: Callable[[int], Any]) -> str:
    """A CSV file of a random number, a key, other columns and a label."""
    dice = random.Random(seed)
    lines = [",".join(["key", "size", *columns, "label"])]
    for number in range(rows):
        cells = [f"k{number}", f"{dice.gauss(number % 2, 1):.5f}", *(str(make(number)) for make in columns.values())]
        lines.append(",".join([*cells, "no" if number % 2 else "yes"]))
    return "\n".join(lines) + "\n"


def sides(outcome: Outcome, column: str) -> dict[Any, set[str]]:
    """Value of a column → the splits in which it is stored."""
    found: dict[Any, set[str]] = defaultdict(set)
    for name, rows in outcome.splits.items():
        for value in rows.column(column).to_pylist():
            found[value].add(name)
    return found


def shares(outcome: Outcome) -> dict[str, int]:
    return {name: rows.num_rows for name, rows in outcome.splits.items()}


def codes(outcome: Outcome) -> set[str]:
    return {warning.code for warning in outcome.warnings}


def by_label(outcome: Outcome, name: str) -> Counter[str]:
    return Counter(outcome.splits[name].column("label").to_pylist())


def stored(outcome: Outcome) -> dict[str, Counter[tuple[Any, ...]]]:
    """Split → rows as they are stored."""
    return {name: Counter(tuple(row.values()) for row in rows.to_pylist()) for name, rows in outcome.splits.items()}


def as_csv(rows: Sequence[tuple[str, ...]], *names: str) -> str:
    """Rows as CSV with all cells quoted."""
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    return "\n".join([",".join(names), *quoted]) + "\n"


def texts(*more: tuple[str, str], rows: int = 40) -> str:
    return as_csv([*reviews(rows), *more], "review", "label")


def written(rows: list[dict[str, str]], form: str) -> bytes:
    if form == "parquet":
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=40)
        return sink.getvalue()
    if form == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    mark = "," if form == "csv" else "\t"
    return "\n".join([mark.join(rows[0]), *(mark.join(row.values()) for row in rows)]).encode()


def counted(outcome: Outcome, code: str) -> int:
    """The number of rows that the one warning of this code speaks of."""
    (said,) = (warning.message for warning in outcome.warnings if warning.code == code)
    return int(next(re.finditer(r"(?:^|: )([\d,]+)", said))[1].replace(",", ""))
