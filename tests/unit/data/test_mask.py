"""Masking rules: recall and precision on a labelled sample, pseudonyms, and that raw and stored text read the same."""

import json
import re
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmill.core.data.mask import KINDS, PSEUDONYM, Pseudonyms, counted, find, kind_token, kinds_only, may_hold
from modelmill.core.data.mask_rules import Kind
from modelmill.core.model.tokens import tokens

SAMPLE = [
    json.loads(line)
    for line in Path(__file__).with_name("mask_sample.jsonl").read_text(encoding="utf-8").split("\n")
    if line
]
TEXTS = [each["text"] for each in SAMPLE]
OURS = Pseudonyms(b"k" * 32)


def found(text: str) -> list[tuple[Kind, str]]:
    return [(each.kind, text[each.start : each.end]) for each in find(text)]


def test_the_sample_is_large_and_has_traps() -> None:
    assert len(SAMPLE) >= 300
    assert sum(not each["finds"] for each in SAMPLE) >= 100
    assert sum(not each["text"].isascii() for each in SAMPLE) >= 100


@pytest.mark.parametrize("kind", KINDS)
def test_recall_and_precision(kind: Kind) -> None:
    right, wanted, got = 0, 0, 0
    for each in SAMPLE:
        labelled = Counter(value for known, value in each["finds"] if known == kind)
        seen = Counter(value for known, value in found(each["text"]) if known == kind)
        right, wanted, got = right + (labelled & seen).total(), wanted + labelled.total(), got + seen.total()
    assert wanted >= 12
    assert right >= 0.97 * wanted, "recall"
    assert right >= 0.97 * got, "precision"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("13800138000", "+86 138-0013-8000"),
        ("010-62345678", "+86 10 6234 5678"),
        ("Alice@Example.com", "ａｌｉｃｅ＠example.com"),
        ("11010519491231002X", "110105 19491231 002x"),
        ("4111 1111 1111 1111", "4111111111111111"),
        ("GB82 WEST 1234 5698 7654 32", "gb82west12345698765432"),
        ("2001:db8::1", "2001:0DB8:0:0:0:0:0:1"),
    ],
)
def test_one_person_has_one_pseudonym(one: str, other: str) -> None:
    assert OURS.mask(one)[0] == OURS.mask(other)[0]
    assert re.fullmatch(PSEUDONYM, OURS.mask(one)[0])


def test_tenants_and_kinds_have_pseudonyms_of_their_own() -> None:
    assert OURS.of("email", "a@b.com") != Pseudonyms(b"other").of("email", "a@b.com")
    assert OURS.of("email", "a")[-13:] != OURS.of("phone", "a")[-13:]
    assert "kkkk" not in repr(OURS) + str(vars(OURS).keys())


def test_text_around_keeps_its_bytes() -> None:
    text = "\u3000Ｄｅａｒ　Ａnna — mail a@b.com，ﬁne①\r\n"
    masked, kinds = OURS.mask(text)
    assert kinds == ["email"]
    assert masked == text.replace("a@b.com", OURS.of("email", "a@b.com"))


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_masked_holds_nothing_more(text: str) -> None:
    masked, kinds = OURS.mask(text)
    assert OURS.mask(masked) == (masked, [])
    assert len(kinds) == len(find(text))


def test_a_model_reads_the_same_of_raw_and_of_stored_text() -> None:
    for text in TEXTS:
        assert kinds_only(OURS.mask(text)[0]) == kinds_only(text)


pieces = st.lists(
    st.one_of(
        st.sampled_from(TEXTS),
        st.sampled_from(
            ["13800138000", "a@b.com", "1.2.3.4", "<email:0123456789ab>", "/", "-", "+", ".", ":", "86", "x"]
        ),
        st.text(alphabet="0123456789+-. @:/()<>aX，１", max_size=12),
    ),
    max_size=8,
).map("".join)


@given(pieces)
def test_a_model_reads_the_same_of_any_raw_and_stored_text(text: str) -> None:
    masked, _ = OURS.mask(text)
    assert kinds_only(masked) == kinds_only(text)
    assert kinds_only(kinds_only(text)) == kinds_only(text)


@given(st.text(), st.sets(st.sampled_from(KINDS)))
def test_only_the_asked_kinds_are_masked(text: str, kinds: set[Kind]) -> None:
    for each in find(text + " a@b.com 13800138000 1.2.3.4", kinds):
        assert each.kind in kinds


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_one_token(kind: Kind) -> None:
    assert tokens(f"酒店{kind_token(kind)}很好") == ["酒", "店", f"mask{kind}", "很", "好"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a plain text of 12 words", False),
        ("这件衣服很好，穿了3天", False),
        ("a@b", True),
        ("１３８００１３８０００", True),
        ("𝟏𝟑8 00", True),
        ("fe80::a", True),
        ("\ud800 1234", True),
    ],
)
def test_the_cheap_test(text: str, expected: bool) -> None:
    assert may_hold(text) is expected


@pytest.mark.parametrize(
    "piece", ["a", "a@", "1", "1 ", "+1", "::", "1:", "1.", "GB82 ", "a://a:", "4111 ", "13800138000 "]
)
def test_hostile_text_takes_no_long_time(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    started = time.perf_counter()
    kinds_only(text)
    assert time.perf_counter() - started < 3


def test_counts_are_said() -> None:
    assert counted({"email": 1200, "phone": 1, "ip": 0}) == "1,200 e-mail addresses and 1 phone number"
    assert counted({"email": 1, "card": 2, "ip": 1}) == "1 e-mail address, 2 card numbers and 1 IP address"
