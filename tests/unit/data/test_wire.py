"""What passes between steps: back as it was, to the byte, and merged the same whoever passed it on, how often ever."""

from collections import Counter
from functools import reduce
from pathlib import Path
from typing import Any

import datasketches as ds
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmill.core.data.accounts import REASONS, UnusableData
from modelmill.core.data.split import SPLITS
from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.frames import wire
from modelmill.frames.bucket import Bucketed
from modelmill.frames.parts import Part, list_parts
from modelmill.frames.profile import Profile
from modelmill.frames.read.unpack import DataFile
from modelmill.frames.scan import Sample, Scan
from modelmill.frames.steps import PartDone
from modelmill.frames.tally import EXACT, ClassTally, Tally
from modelmill.frames.work import pack_parts, unpack_parts
from tests.unit.data.files import flowers_csv, reviews
from tests.unit.data.mixed import mixed_csv

counts = st.integers(0, 2**40)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
cells = st.one_of(st.none(), words, st.integers(-(10**6), 10**6).map(str), st.floats(allow_nan=False).map(repr))
# A few cells many times: sketches leave their lists and tables of few entries at some hundreds and some thousands.
columns = st.builds(
    lambda few, kind, rows: [f"{kind}{n % 5_003}" if n % 3 else few[n % len(few)] for n in range(rows)],
    st.lists(cells, min_size=1, max_size=8),
    st.sampled_from(["", "w", "0.", "中"]),
    st.sampled_from([1, 20, 300, 4_000]),
)


@st.composite
def profiles(draw: Any) -> Profile:
    values = draw(columns)
    arrays = {name: pa.array(values, pa.large_string()) for name in draw(st.sampled_from([["a"], ["a", "b"], ["b"]]))}
    return Profile.of(pa.record_batch(arrays))


@st.composite
def scans(draw: Any) -> Scan:
    profile = draw(profiles())
    rows = draw(st.lists(st.tuples(words, st.integers(0, 2**64 - 1)), max_size=20))
    table = pa.table({"a": pa.array([word for word, _ in rows], pa.large_string())})
    ranks = np.array([rank for _, rank in rows], np.uint64)
    sample = Sample(table, np.arange(1, len(rows) + 1), ranks) if rows else Sample()
    actions = Counter({(name, action): n for name, action, n in draw(st.lists(st.tuples(words, words, counts)))})
    warnings = [DataWarning(code="c", message=text) for text in draw(st.lists(words, unique=True, max_size=3))]
    return Scan([profile.rows], profile, sample, actions, warnings, draw(counts))


@st.composite
def tallies(draw: Any) -> Tally:
    identities, times = ds.hll_sketch(14, ds.HLL_8), ds.tdigest_double(400)
    for number in range(draw(st.sampled_from([0, 3, 100, 3_000]))):
        identities.update(draw(st.just(number)) * 7 + 1)
        times.update(float(number % 97))
    falls = st.lists(st.integers(0, 2**64 - 1), max_size=30).map(lambda each: ClassTally.of(np.array(each, np.uint64)))
    many = ClassTally.of(np.arange(EXACT + 1, dtype=np.uint64))
    return Tally(
        [draw(words)],
        Counter(draw(st.dictionaries(st.sampled_from(REASONS), st.integers(1, 9)))),
        Counter(draw(st.dictionaries(words, st.integers(1, 9)))),
        Counter(draw(st.dictionaries(words, st.integers(1, 9)))),
        Counter(draw(st.dictionaries(st.integers(0, 3), st.integers(1, 9)))),
        draw(st.dictionaries(words, st.one_of(falls, st.just(many)), max_size=4)),
        identities,
        times,
        draw(counts),
        {name: Counter({"email": n}) for name, n in draw(st.dictionaries(words, st.integers(1, 9))).items()},
        Counter({(name, "html"): n for name, n in draw(st.dictionaries(words, st.integers(1, 9))).items()}),
    )


@st.composite
def bucketed(draw: Any) -> Bucketed:
    splits = {name: Counter(draw(st.dictionaries(words, st.integers(1, 9)))) for name in SPLITS}
    reasons = Counter(draw(st.dictionaries(st.sampled_from(REASONS), st.integers(1, 9))))
    numbers = {name: draw(counts) for name in wire.COUNTS}
    return Bucketed(splits, reasons, profile=draw(profiles()), **numbers)


dones = st.builds(PartDone, tallies(), st.lists(counts))
values = st.one_of(*(st.lists(each, min_size=2, max_size=4) for each in (scans(), tallies(), bucketed())))


def merged(parts: list[Any]) -> bytes:
    return wire.pack(reduce(lambda one, other: one.merge(other), parts))


@settings(deadline=None, max_examples=60)
@given(values)
def test_whoever_passes_values_on_and_how_often_they_merge_to_the_same_bytes(parts: list[Any]) -> None:
    packed = [wire.pack(part) for part in parts]
    assert [wire.pack(wire.passed(part)) for part in parts] == packed
    once = merged([wire.passed(part) for part in parts])
    later = [wire.unpack(data, type(part)) for data, part in zip(packed, parts, strict=True)]
    again = merged([wire.passed(wire.passed(part)) for part in later])
    assert again == once
    assert wire.pack(wire.passed(wire.unpack(once, type(parts[0])))) == once


@settings(deadline=None, max_examples=30)
@given(dones)
def test_a_part_that_is_done_comes_back_with_its_offsets(done: PartDone) -> None:
    back = wire.passed(done)
    assert back.offsets == done.offsets
    assert wire.pack(back) == wire.pack(done)
    assert (back.tally.reasons, back.tally.labels, back.tally.usable) == (
        done.tally.reasons,
        done.tally.labels,
        done.tally.usable,
    )


@settings(deadline=None, max_examples=40)
@given(scans())
def test_a_scan_comes_back_with_all_that_decisions_look_at(scan: Scan) -> None:
    back = wire.passed(scan)
    assert (back.rows, back.actions, back.warnings, back.size) == (scan.rows, scan.actions, scan.warnings, scan.size)
    assert back.profile.summaries() == scan.profile.summaries()
    assert back.profile.as_dict() == scan.profile.as_dict()
    assert back.sample.table.equals(scan.sample.table)
    assert back.sample.numbers.tolist() == scan.sample.numbers.tolist()
    assert back.sample.ranks.tolist() == scan.sample.ranks.tolist()


@pytest.mark.parametrize("cause", [Rejected("one_class", "why", limit=3, hint="mend"), Rejected("x", "y")])
def test_a_refusal_is_raised_by_whoever_reads_the_value(cause: Rejected) -> None:
    for sent in (cause, UnusableData(cause, 7)):
        with pytest.raises(Rejected) as raised:
            wire.unpack(wire.pack(sent), Scan)
        assert raised.value.as_dict() == cause.as_dict()
        assert isinstance(raised.value, UnusableData) is isinstance(sent, UnusableData)


def test_parts_come_back_as_they_were(tmp_path: Path) -> None:
    contents = {
        "a.csv": mixed_csv(),
        "b.csv": flowers_csv(900).encode("gb18030"),
        "c.jsonl": "\n".join(f'{{"t": "{text}", "l": "{label}"}}' for text, label in reviews(300)).encode(),
        "d.csv": flowers_csv(20).encode("utf-16"),
    }
    files = []
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        files.append(DataFile(tmp_path / name, name, "train" if name == "a.csv" else None))
    parts: list[Part] = list_parts(files, smallest=8_000)
    assert {part.layout for part in parts} == {"delimited", "json", "whole"}
    assert len(parts) > 8
    assert unpack_parts(pack_parts(parts), files) == parts
