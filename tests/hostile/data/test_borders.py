"""Files cut into parts at the worst places: whatever the parts, the same rows with the same numbers, and none lost."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmill.core.data.mask import Pseudonyms
from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Recipe
from modelmill.frames.numbered import Numbered
from modelmill.frames.parts import Part, list_parts, read_part
from modelmill.frames.prepare import prepare_unpacked
from modelmill.frames.read.reading import BadRow
from modelmill.frames.read.unpack import DataFile, Unpacked
from modelmill.frames.steps import Grain
from tests.hostile.data.cases import reviews, table
from tests.hostile.data.corpus_rows import lines
from tests.hostile.data.corpus_text import chinese

PART = 3_000
Row = tuple[int, dict[str, Any]]


def rows_of(parts: list[Part], folder: Path) -> tuple[list[Row], list[BadRow]]:
    """All rows of the parts with their numbers in the file, and those that could not be read."""
    rows: list[Row] = []
    bad: list[BadRow] = []
    first = 0
    for part in parts:
        numbered = Numbered(read_part(part, folder / "piece"))
        for numbers, batch in numbered:
            # A key that no row of a part has is no column there.
            cells = ({name: cell for name, cell in row.items() if cell is not None} for row in batch.to_pylist())
            rows.extend(zip((numbers + first).tolist(), cells, strict=True))
            bad.extend(BadRow(row.number + first, row.reason, row.raw) for row in numbered.bad())
        bad.extend(BadRow(row.number + first, row.reason, row.raw) for row in numbered.bad())
        first += numbered.read
    assert sorted([number for number, _ in rows] + [row.number for row in bad]) == list(range(1, first + 1))
    return rows, bad


def read(content: bytes, name: str, folder: Path, part: int) -> tuple[list[Row], list[BadRow], int]:
    """The rows of a file in parts of about so many bytes, and how many parts these are."""
    path = folder / "data"
    path.write_bytes(content)
    parts = list_parts([DataFile(path, name)], part)
    return *rows_of(parts, folder), len(parts)


def quoted(rows: int = 600) -> str:
    """Every cell has newlines and quotes in it."""
    cells = (f'"{text}\n\n""{n}"",\r\n{text}","{label}"' for n, (text, label) in enumerate(reviews(rows)))
    return "\n".join(["review,label", *cells]) + "\n"


def escaped(rows: int = 600) -> str:
    """Quotes in cells are escaped by a backslash."""
    cells = (f'"{text}\n\\"{n}\\", {text}",{label}' for n, (text, label) in enumerate(reviews(rows)))
    return "\n".join(["review,label", *cells]) + "\n"


def all_ragged_at_borders() -> bytes:
    """Ragged rows of every length, so that they stand before, behind and at borders."""
    good = table(900).splitlines()
    return "\n".join(line + ",x" * (n % 7 == 3) for n, line in enumerate(good)).encode()


REGULAR: dict[str, tuple[str, Callable[[], bytes]]] = {
    "plain": ("a.csv", lambda: table(900).encode()),
    "windows newlines": ("a.csv", lambda: table(900, end="\r\n").encode()),
    "quoted newlines": ("a.csv", lambda: quoted().encode()),
    "escaped quotes": ("a.csv", lambda: escaped().encode()),
    "ragged rows": ("a.csv", all_ragged_at_borders),
    "blank lines between": ("a.csv", lambda: table(900, end="\n\n\n").encode()),
    "blank lines of several parts before": ("a.csv", lambda: b"\n" * 9_000 + table(900).encode()),
    "a delimiter told": ("a.csv", lambda: b"sep=|\n" + table(900, delimiter="|", header="a|b").encode()),
    "gb18030": ("a.csv", lambda: chinese(900).encode("gb18030")),
    "mark": ("a.csv", lambda: b"\xef\xbb\xbf" + table(900).encode()),
    "no newline at the end": ("a.csv", lambda: table(900).encode()[:-1]),
    "rows longer than parts": (
        "a.csv",
        lambda: "\n".join(["review,label", *(f"{'long ' * 1_700}{n},{n % 2}" for n in range(40))]).encode(),
    ),
    "a header longer than parts": ("a.csv", lambda: table(900, header=f"{'name ' * 1_700},label").encode()),
    "json lines": ("a.jsonl", lambda: lines("[]", '{"review": "cut', "", '{"a": 1}', rows=900)),
}  # fmt: skip


@pytest.mark.parametrize("name", REGULAR)
def test_parts_have_the_rows_of_the_whole(tmp_path: Path, name: str) -> None:
    file, content = REGULAR[name]
    whole, bad, count = read(content(), file, tmp_path, 1 << 30)
    assert count == 1
    parted, bad_in_parts, parts = read(content(), file, tmp_path, PART)
    assert parts > 5
    assert parted == whole
    assert bad_in_parts == bad


def test_every_place_of_a_border_gives_the_same_rows(tmp_path: Path) -> None:
    content = quoted(30).encode() + b"ragged\n" + quoted(30).encode()[13:]
    whole, bad, _ = read(content, "a.csv", tmp_path, 1 << 30)
    for part in range(2_000, 2_160, 2):
        assert read(content, "a.csv", tmp_path, part)[:2] == (whole, bad), part


def spoilt(place: int, mark: str) -> bytes:
    """A large table whose quoting goes wrong at a byte."""
    good = quoted(200).encode()
    return good[:place] + mark.encode() + good[place:]


@settings(deadline=None, max_examples=25)
@given(place=st.integers(0, 25_000), mark=st.sampled_from(['"', '""', '"x', '\n"', ',"', '"\n', '\\"', "\r"]))
def test_wrong_quotes_near_borders_lose_no_row(place: int, mark: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").write_bytes(spoilt(place, mark))
        (folder / "work").mkdir()
        (folder / "version").mkdir()
        unpacked = Unpacked([DataFile(folder / "data", "data.csv")])
        pseudonyms = Pseudonyms(b"a key of tests only, of 32 bytes..")
        try:
            grain = Grain(PART, PART)
            done = prepare_unpacked(unpacked, Recipe(), pseudonyms, folder / "work", folder / "version", grain=grain)
        except Rejected:
            return
        quarantine = (folder / "version" / "quarantine.jsonl").read_text("utf-8").splitlines()
        numbers = {json.loads(line)["row"] for line in quarantine}
        assert len(numbers) == len(quarantine) == done.rows.quarantined
        assert done.rows.read == done.rows.used + done.rows.quarantined
        stored = sum(counts.total() for counts in done.splits.values())
        assert stored == done.rows.used
