"""Masking of tables: what is stored, what is counted, what no model reads, and that the key changes nothing else."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmill.core.data.mask import KINDS, PSEUDONYM, Pseudonyms, find
from modelmill.core.data.mask_rules import CANDIDATE
from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Mask, parse_recipe
from modelmill.frames.mask import identity_of, mask_batch, plan_masks
from modelmill.frames.profile import Profile
from tests.unit.data.files import PSEUDONYMS, prepared, reviews
from tests.unit.data.test_mask import TEXTS, pieces

SECRETS = ("alice@example.com", "13800138000", "4111111111111111", "bob@example.org")


def people_csv(rows: int = 60) -> str:
    """Reviews with a phone and an e-mail column; personal data in some of the texts, and rows that are left out."""
    lines = ["review,phone,mail,recommended"]
    for number, (text, label) in enumerate(reviews(rows)):
        more = {0: " mail alice@example.com", 1: " call 13800138000 or 13800138000"}.get(number % 10, "")
        lines.append(f"{text}{more},138{number:08},user{number}@example.com,{label}")
    lines.append("no label for bob@example.org,13900000000,bob@example.org,")
    lines.append("ragged 4111111111111111")
    return "\n".join(lines) + "\n"


def column(values: Sequence[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.large_string())])


@dataclass(frozen=True)
class Masked:
    """A table that was masked, batch by batch."""

    table: pa.Table
    counts: dict[str, dict[str, int]]
    identities: dict[str, str]


def mask_table(table: pa.Table, settings: Mask) -> Masked:
    batches = [batch for batch in table.to_batches() if batch.num_rows]
    profile = reduce(Profile.merge, map(Profile.of, batches))
    plan = plan_masks(profile, table, settings)
    done = [mask_batch(batch, plan, PSEUDONYMS) for batch in batches]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for each in done:
        for name, kinds in each.counts.items():
            counts[name].update(kinds)
    whole = pa.Table.from_batches([each.batch for each in done])
    return Masked(whole, {name: dict(kinds) for name, kinds in counts.items()}, dict(plan.identities))


def cells(table: pa.Table, name: str) -> list[str | None]:
    values: list[str | None] = table.column(name).to_pylist()
    return values


def test_nothing_that_is_stored_holds_personal_data(tmp_path: Path) -> None:
    result = prepared(tmp_path, people_csv())
    stored = result.stored()
    rows = b"".join(str(table.to_pydict()).encode() for table in result.splits.values())
    for name, data in {**stored, "rows": rows}.items():
        for secret in (*SECRETS, "13800000007", "user7@"):
            assert secret.encode() not in data, (name, secret)
    texts = " ".join(str(text) for table in result.splits.values() for text in cells(table, "review"))
    assert len(set(re.findall(r"<email:[0-9a-f]{12}>", texts))) == 1, "one person, one pseudonym"


def test_what_was_masked_is_said_and_whole_columns_are_left_out(tmp_path: Path) -> None:
    result = prepared(tmp_path, people_csv())
    assert result.masked == {"review": {"email": 7, "phone": 12}, "phone": {"phone": 61}, "mail": {"email": 61}}
    messages = {warning.code: warning.message for warning in result.warnings if warning.code != "masked"}
    assert "7 e-mail addresses and 12 phone numbers were masked in column review" in [
        warning.message for warning in result.warnings
    ]
    assert "phone, mail" in messages["masked_columns"]
    assert [column.name for column in result.plan.inputs] == ["review"]
    assert {column.name: column.kind for column in result.plan.columns}["phone"] == "identifier"
    stored = result.stored()
    assert json.loads(stored["profile.json"])["masked"] == json.loads(stored["version.json"])["masked"] == result.masked


def test_the_version_and_the_split_depend_on_no_key(tmp_path: Path) -> None:
    results = [prepared(tmp_path, people_csv(), pseudonyms=Pseudonyms(bytes([n]) * 32)) for n in range(3)]
    versions = {result.version().version for result in results}
    assert len(versions) == 1
    shapes = {
        str([[re.sub(PSEUDONYM, r"<\1>", str(row)) for row in table.to_pylist()] for table in result.splits.values()])
        for result in results
    }
    assert len(shapes) == 1
    assert results[0].stored()["train.parquet"] != results[1].stored()["train.parquet"]
    again = prepared(tmp_path, people_csv(), pseudonyms=Pseudonyms(bytes(32)))
    assert again.stored() == results[0].stored()


@pytest.mark.parametrize("mask", [{"default": False}, {"kinds": ["email"]}, {"columns": {"review": "keep"}}])
def test_the_settings_are_part_of_the_version(tmp_path: Path, mask: object) -> None:
    recipe = parse_recipe({"mask": mask})
    result = prepared(tmp_path, people_csv(), recipe=recipe)
    default = prepared(tmp_path, people_csv()).version().version
    assert result.version().version != default
    assert "13800138000" in str(result.splits["train"].to_pydict())


def test_columns_are_dropped_hashed_and_kept(tmp_path: Path) -> None:
    recipe = parse_recipe({"mask": {"columns": {"phone": "drop", "mail": "hash", "review": "keep"}}})
    result = prepared(tmp_path, people_csv(), recipe=recipe)
    assert [column.name for column in result.plan.columns] == ["review", "mail", "recommended"]
    assert result.splits["train"].column_names == ["review", "recommended", "mail"]
    assert all(re.fullmatch(r"<hash:[0-9a-f]{12}>", str(cell)) for cell in cells(result.splits["train"], "mail"))
    assert "alice@example.com" in str(cells(result.splits["train"], "review"))
    stored = result.stored()
    assert b"4111111111111111" not in stored["quarantine.jsonl"]
    assert b"mail" not in stored["profile.bin"]


def test_dropped_columns_still_tell_rows_apart(tmp_path: Path) -> None:
    lines = [f"{number % 3},{number},{'ab'[number % 2]}" for number in range(60)]
    recipe = parse_recipe({"mask": {"columns": {"key": "drop"}}})
    assert prepared(tmp_path, "\n".join(["n,key,label", *lines]), recipe=recipe).rows.used == 60


def test_the_target_is_spared_and_said(tmp_path: Path) -> None:
    lines = [f"{text},{label}@example.com" for text, label in reviews(60)]
    result = prepared(tmp_path, "\n".join(["review,label", *lines]))
    assert result.labels == ["no@example.com", "yes@example.com"]
    assert "personal_target" in {warning.code for warning in result.warnings}
    assert "label" not in result.masked


@pytest.mark.parametrize(
    ("content", "recipe", "code", "words"),
    [
        ("phone,label\n", {}, "no_usable_input", "mask: {columns: {phone: keep}}"),
        ("text,phone,label\n", {"inputs": ["phone"]}, "no_usable_input", "phone numbers"),
        ("text,phone,alice@example.com,label\n", {}, "no_header", "column 3"),
        ("text,phone,label\n", {"mask": {"columns": {"label": "mask"}}}, "bad_recipe", "target"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, content: str, recipe: object, code: str, words: str) -> None:
    width = content.count(",") + 1
    lines = [
        ",".join([text, f"138{number:08}", "x", label][-width:] if width != 3 else [text, f"138{number:08}", label])
        for number, (text, label) in enumerate(reviews(60))
    ]
    if width == 2:
        lines = [f"138{number:08},{label}" for number, (_, label) in enumerate(reviews(60))]
    with pytest.raises(Rejected) as refusal:
        prepared(tmp_path, content + "\n".join(lines), recipe=parse_recipe(recipe))
    assert refusal.value.code == code
    assert words in refusal.value.message + (refusal.value.hint or "")
    assert "alice" not in refusal.value.message


def test_numbers_are_untouched_but_words_among_them_are_not() -> None:
    values = [str(13_800_138_000 + 7 * n) if n % 2 else f"{n}.5" for n in range(100)]
    masked = mask_table(pa.table({"n": column([*values, "13800138000 (Bob)"])}), Mask())
    assert cells(masked.table, "n")[:-1] == values
    assert masked.counts == {"n": {"phone": 1}}
    named = mask_table(pa.table({"n": column(values)}), Mask(columns={"n": "mask"}))
    assert named.counts == {"n": {"phone": 50}}


def test_a_column_of_one_datum_per_cell_is_masked_as_a_whole() -> None:
    phones: list[str | None] = [f"139{n:08}" for n in range(95)]
    assert identity_of(column([*phones, "unknown", "+86 139", None]), KINDS) == "phone"
    assert identity_of(column([*phones[:50], *map(str, range(50))]), KINDS) is None
    assert identity_of(column([None]), KINDS) is None
    masked = mask_table(pa.table({"p": column([*phones, "ask her"])}), Mask())
    assert all(re.fullmatch(PSEUDONYM, str(cell)) for cell in cells(masked.table, "p"))
    assert cells(masked.table, "p")[0] == PSEUDONYMS.mask("call 139-0000-0000")[0].removeprefix("call ")


@given(pieces)
def test_arrow_finds_every_candidate(text: str) -> None:
    if find(text) or re.search(PSEUDONYM, text):
        assert pc.match_substring_regex(pa.array([text]), CANDIDATE).to_pylist() == [True]


@given(st.lists(st.one_of(st.none(), st.sampled_from(TEXTS)), min_size=1, max_size=20))
def test_a_table_is_masked_as_its_cells(values: list[str | None]) -> None:
    expected = [None if text is None else PSEUDONYMS.mask(text)[0] for text in values]
    half = len(values) // 2
    chunks = [pa.array(part, pa.large_string()) for part in (values[:half], values[half:], [])]
    table = mask_table(pa.table({"t": pa.chunked_array(chunks)}), Mask(columns={"t": "mask"}))
    if not table.identities:
        assert cells(table.table, "t") == expected
        assert sum(table.counts.get("t", {}).values()) == sum(len(find(text)) for text in values if text)
