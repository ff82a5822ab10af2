"""Spellings: what differs by case, spaces, width or closing punctuation is one class; what carries meaning is not."""

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelmill.core.data.columns import ColumnSummary
from modelmill.core.data.labels import TargetForm, decide_target_form, unified_warning, unify

labels = st.text(st.sampled_from("aAbBéÉ ß1２.-_+<>=?!'’，。不推荐😀\ufe0f\u200b"), min_size=1, max_size=5)


@pytest.mark.parametrize(
    "spellings",
    [
        ("<=50K", "<=50K."),
        ("yes", "Yes", "YES", "yes!", "ｙｅｓ", " yes"),
        ("very good", "Very  Good", "very_good", "very-good"),
        ("non-smoker", "Non Smoker"),
        ("<= 50K", "<=50K"),
        ("不推荐", "不 推荐", "不推荐。"),
        ("'spam'", "spam", '"spam"'),
        ("Ａ组", "a组"),
        ("don't know", "Don’t know"),
        ("ÉTÉ", "été", "e\u0301te\u0301"),
        ("level_1", "Level 1"),
        ("❤", "❤\ufe0f"),
        ("Y", "y"),
        ("U.S.A", "U.S.A."),
        ("a\u200bb", "ab"),
        ("zero\u00a0one", "zero one"),
        ("Grade A", "grade a;"),
    ],
)
def test_spellings_of_one_class(spellings: tuple[str, ...]) -> None:
    counts = {spelling: 10 - place for place, spelling in enumerate(spellings)}
    assert unify(counts) == dict.fromkeys(spellings[1:], spellings[0])


@pytest.mark.parametrize(
    "classes",
    [
        ("<=50K", ">50K", "<50K", "=50K"),
        ("+1", "-1", "1"),
        ("C", "C++", "C#"),
        ("A+", "A", "A-"),
        ("a-b", "ab"),
        ("1.0", "10", "1,0"),
        ("1-2", "1 2", "12"),
        ("10²", "102"),
        ("½", "1/2", "12"),
        ("😀", "😡", "👍", "👎"),
        ("👍🏻", "👍🏿"),
        ("spam?", "spam"),
        (".net", "net"),
        ("Rh+", "Rh-"),
        ("level 1", "level -1", "level 11"),
        ("推荐", "不推荐"),
        ("Maße", "Masse"),
        ("(a)", "a"),
        ("#1", "1"),
        ("0-9", "09"),
        ("50%", "50"),
        ("café", "cafe"),
        ("-", "_", "."),
        tuple("abcdefABCDEF"),
    ],
)
def test_what_carries_meaning_is_kept(classes: tuple[str, ...]) -> None:
    assert unify(dict.fromkeys(classes, 5)) == {}


@given(st.dictionaries(labels, st.integers(1, 9), max_size=12))
@example({"a": 1, "A": 1, "a.": 1})
def test_unified_once_is_unified(counts: dict[str, int]) -> None:
    changed = unify(counts)
    after = Counter[str]()
    for label, count in counts.items():
        after[changed.get(label, label)] += count
    assert set(changed.values()).isdisjoint(changed)
    assert set(changed) | set(changed.values()) <= set(counts)
    assert unify(after) == {}, "classes are apart or one, however often they are unified"
    assert all(counts[canonical] >= counts[label] for label, canonical in changed.items())


@given(st.dictionaries(labels, st.integers(1, 9), max_size=12), st.randoms())
def test_the_order_of_counting_is_nothing(counts: dict[str, int], dice: object) -> None:
    shuffled = list(counts.items())
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert unify(dict(shuffled)) == unify(counts)


def of(counts: dict[str, int], numbers: int = 0) -> ColumnSummary:
    rows = sum(counts.values())
    return ColumnSummary("y", rows, 0, numbers, numbers, float(len(counts)), None, None, 1.0, 0.0)


def test_the_form_of_a_target() -> None:
    ones = {"1.0": 6, "0": 4}
    assert decide_target_form(of(ones, 10), ones) == TargetForm(numeric=True)
    percent = {"5%": 6, "0": 4}
    assert decide_target_form(of(percent, 10), percent) == TargetForm(), "5% is not the class 5"
    truths = {"True": 6, "FALSE": 4, "false": 1}
    assert decide_target_form(of(truths), truths) == TargetForm(boolean=True)
    words = {"Yes": 6, "yes": 4, "no": 3}
    assert decide_target_form(of(words), words) == TargetForm(spellings={"yes": "Yes"})
    assert decide_target_form(of(words), words, unify_labels=False) == TargetForm()


def test_what_became_what_is_said() -> None:
    (warning,) = unified_warning({"<=50K.": "<=50K"})
    assert (warning.code, "'<=50K.' is '<=50K'" in warning.message) == ("labels_unified", True)
    assert unified_warning({}) == []
