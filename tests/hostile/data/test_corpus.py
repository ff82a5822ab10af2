"""Nasty uploads through the whole data phase: a version or a clear refusal; no crash, hang, bloat or lost row."""

import gzip
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.data.cases import OK, later
from tests.hostile.data.child import Child
from tests.hostile.data.corpus import CASES
from tests.hostile.data.corpus_packed import GOOD, pictures, sheet, sounds, zipped, zstd
from tests.hostile.data.corpus_packed import grid as cells
from tests.hostile.data.corpus_rows import arrow, columns, lines, parquet, types
from tests.hostile.data.corpus_text import chinese

GIB = 1 << 30
REASON_BYTES = 10_000


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One process for all files."""
    child = Child(tmp_path_factory.mktemp("hostile"))
    yield child
    child.close()


def check(answer: dict[str, Any]) -> None:
    """What holds for every file."""
    assert answer["outcome"] not in {"crash", "hang", "death"}, answer
    assert answer["memory"] + answer["children"] < GIB, answer
    if answer["outcome"] != OK:
        assert answer["outcome"].isidentifier()
        assert answer["message"]
        assert answer["size"] < REASON_BYTES
        return
    rows, numbers = answer["rows"], answer["numbers"]
    assert rows["read"] == rows["used"] + rows["quarantined"], answer
    assert sum(answer["splits"].values()) == rows["used"], answer
    assert answer["written"] == answer["reasons"], answer
    assert sum(answer["written"].values()) == numbers["distinct"] == rows["quarantined"], answer
    assert 1 <= numbers["least"] <= numbers["most"] <= rows["read"], answer


@pytest.mark.parametrize("name", CASES)
def test_a_nasty_file_ends_as_it_must(child: Child, name: str) -> None:
    case = CASES[name]
    answer = child.prepare(case.make(), case.file)
    check(answer)
    assert answer["outcome"] == case.outcome, answer
    if answer["outcome"] == OK:
        assert answer["rows"]["read"] == case.read, answer
        assert answer["reasons"] == case.reasons, answer
        assert set(case.warnings) <= set(answer["warnings"]), answer


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 200


GOOD_FILES: dict[str, Callable[[], bytes]] = {
    "data.csv": lambda: GOOD,
    "chinese.csv": lambda: chinese().encode("gb18030"),
    "wide.csv": lambda: chinese().encode("utf-16"),
    "data.jsonl": lines,
    "data.parquet": lambda: parquet(columns()),
    "data.arrow": lambda: arrow(types()),
    "data.csv.gz": lambda: gzip.compress(GOOD, mtime=0),
    "data.csv.zst": lambda: zstd(GOOD),
    "data.zip": lambda: zipped({"train/a.csv": GOOD, "test/b.csv": later()}),
    "data.xlsx": lambda: sheet(cells()),
    "pictures.zip": pictures,
    "sounds.zip": sounds,
}
MADE = {name: make() for name, make in GOOD_FILES.items()}
Edit = tuple[str, float, bytes]


def edits() -> st.SearchStrategy[list[Edit]]:
    """What happens to files: bytes change, are lost, are put in."""
    place = st.floats(0, 1, exclude_max=True)
    nasty = st.sampled_from(
        [b'"', b"\n", b",", b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"{", b"PK\x03\x04", b"\x1f\x8b"]
    )
    kinds, new = st.sampled_from(["flip", "cut", "lose", "insert"]), st.binary(min_size=1, max_size=9) | nasty
    return st.lists(st.tuples(kinds, place, new), min_size=1, max_size=4)


def edited(data: bytes, changes: list[Edit]) -> bytes:
    for kind, share, new in changes:
        at = int(share * len(data))
        if kind == "flip":
            data = data[:at] + new + data[at + len(new) :]
        elif kind == "cut":
            data = data[: at + 1]
        elif kind == "lose":
            data = data[:at] + data[at + 20 * len(new) :]
        else:
            data = data[:at] + new + data[at:]
    return data


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(MADE)), changes=edits())
def test_a_spoilt_file_loses_no_row_silently(child: Child, name: str, changes: list[Edit]) -> None:
    check(child.prepare(edited(MADE[name], changes), name))


def test_a_good_file_of_each_kind_is_taken(child: Child) -> None:
    assert {name: child.prepare(data, name)["outcome"] for name, data in MADE.items()} == dict.fromkeys(MADE, OK)
