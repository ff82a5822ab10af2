"""Lists of an upload's files: whatever is in them, what passes stays below the upload's folder."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmill.core.data.sources import Source, as_marker, read_marker
from modelmill.core.data.transfer import PlannedFile, Transfer, part_bytes
from modelmill.core.errors import ModelmillError, Rejected
from modelmill.core.limits import MIB, MULTIPART_PARTS, PART_BYTES
from modelmill.core.names import UploadKey

UPLOAD = UploadKey("default", "reviews", "u1", "upload.json")
PIECES = st.sampled_from(["..", ".", "", "a", "b.csv", "/", "\\", "\x00", "\n", "é" * 100, "图", "C:", "~", " "])
NAMES = st.one_of(st.lists(PIECES, max_size=6).map("/".join), st.text(max_size=20))
KEYS = st.one_of(NAMES, NAMES.map(lambda name: UPLOAD.files + name))


def parse(document: Any) -> list[Source]:
    return read_marker(json.dumps(document).encode(), "uploads", UPLOAD)


@given(st.lists(KEYS, min_size=1, max_size=5))
def test_no_list_leads_out_of_the_folder(keys: list[str]) -> None:
    try:
        found = parse({"files": [{"key": key} for key in keys]})
    except Rejected:
        return
    folder = Path("/data/upload")
    paths = [folder / source.key.removeprefix(UPLOAD.files) for source in found]
    assert all(source.key.startswith(UPLOAD.files) for source in found)
    assert all(Path(str(path)).resolve().is_relative_to(folder) and path != folder for path in paths)
    assert len(set(paths)) == len(keys)
    assert not any(one in other.parents for one in paths for other in paths)


VALUES = st.recursive(st.none() | st.text() | st.integers(), lambda v: st.lists(v) | st.dictionaries(st.text(), v))


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps({"files": value}).encode()))
def test_any_bytes_are_a_list_or_refused(data: bytes) -> None:
    with pytest.raises(Rejected):
        read_marker(data, "uploads", UPLOAD)


@given(st.lists(st.from_regex(r"([a-z]{1,5}/)?[a-z]{1,5}\.csv", fullmatch=True), min_size=1, max_size=5, unique=True))
def test_a_list_is_read_as_it_was_written_whatever_the_order(names: list[str]) -> None:
    files = [Source(bucket="uploads", key=UPLOAD.files + name, version_id="v", size=1, etag="e") for name in names]
    assert as_marker(files) == as_marker(files[::-1])
    assert read_marker(as_marker(files), "uploads", UPLOAD) == sorted(files, key=lambda source: source.key)


@given(st.integers(1, 2**43))
def test_parts_cover_a_file_and_are_not_too_many(size: int) -> None:
    file = PlannedFile.of("a", size, multipart=True)
    assert file.parts is not None
    assert 1 <= file.parts <= MULTIPART_PARTS
    assert part_bytes(size) % MIB == 0
    assert part_bytes(size) >= PART_BYTES
    last = file.part_size(file.parts)
    assert 0 < last <= part_bytes(size)
    assert (file.parts - 1) * part_bytes(size) + last == size
    for number in (0, file.parts + 1):
        with pytest.raises(ModelmillError, match="has no part"):
            file.part_size(number)


def test_a_single_file_starts_the_run_itself_and_several_do_by_their_list() -> None:
    file = PlannedFile.of("a.csv", 1)
    assert Transfer(files=[file], single=True).marker(UPLOAD) == "default/reviews/u1/a.csv"
    assert Transfer(files=[file], single=False).marker(UPLOAD) == "default/reviews/u1/upload.json"
    assert Transfer(files=[file], single=False).key(UPLOAD, file) == "default/reviews/u1/files/a.csv"
