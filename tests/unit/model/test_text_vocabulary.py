"""Counting: what training counts in its rows is what serving counts in the same rows, and what strings would give."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelmill.core.errors import Rejected
from modelmill.core.model.tokens import ngrams, pieces, tokens
from modelmill.serving.features import TextFeatures
from modelmill.training.bags import Bags, bags_of, texts_of, wanted_of
from modelmill.training.vocabulary import Corpus
from tests.unit.model.texting import rows_of, run_of

_SENTENCE = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8).map(" ".join)
_TEXT = st.one_of(
    _SENTENCE,
    st.text(max_size=30),
    st.text("good bed😀酒店很好é\u0301 ", max_size=30),
    st.sampled_from([None, "", "   "]),
)


@given(st.lists(st.lists(_SENTENCE, min_size=2, max_size=2), min_size=1, max_size=12), st.integers(1, 3))
def test_ngrams_are_counted_as_strings_would_be(rows: list[list[str]], min_rows: int) -> None:
    words = [[tokens(text) for text in texts] for texts in rows]
    counted = Corpus.of(words).ngrams(3, min_rows)
    found = [Counter(gram for text in texts for gram in ngrams(text, 1, 3)) for texts in words]
    frequencies = Counter(gram for row in found for gram in row)
    spelt = [counted.spell(number) for number in range(len(counted.frequencies))]
    assert dict(zip(spelt, counted.frequencies.tolist(), strict=True)) == {
        gram: count for gram, count in frequencies.items() if count >= min_rows
    }
    entries = zip(counted.rows.tolist(), counted.ids.tolist(), counted.counts.tolist(), strict=True)
    assert {(row, spelt[number]): count for row, number, count in entries} == {
        (row, gram): count for row, grams in enumerate(found) for gram, count in grams.items() if gram in set(spelt)
    }
    assert counted.rows.tolist() == sorted(counted.rows.tolist())


def _dense(bags: Bags, width: int) -> torch.Tensor:
    dense = torch.zeros(len(bags.offsets) - 1, width)
    row_of = torch.repeat_interleave(torch.arange(len(dense)), bags.offsets.diff())
    return dense.index_put((row_of, bags.ids.long()), bags.values, accumulate=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_TEXT, _TEXT), min_size=4, max_size=10), st.integers(1, 30), st.integers(0, 20))
def test_training_counts_what_serving_counts(
    tmp_path: Path, texts: list[tuple[str | None, str | None]], size: int, some: int
) -> None:
    first, second = zip(*texts, strict=True)
    rows = rows_of({"t": first, "u": second}, np.arange(len(texts)) % 2)
    run = run_of(tmp_path, rows)
    wanted = wanted_of(run.objective.target(rows), 2)
    try:
        counted = texts_of(rows, wanted, run, size=size, pieces=some, min_rows=2)
    except Rejected:
        assert not any(tokens(text or "") for row in texts for text in row)
        return
    served = bags_of(rows, counted.preprocess)
    width = len(counted.idf)
    assert torch.equal(_dense(counted.bags, width), _dense(served, width))
    shares = (_dense(served, width) > 0).double().mean(0).float()
    assert torch.allclose(shares, counted.share)
    assert counted.words == len(counted.preprocess["vocabulary"]) <= size
    assert width == 1 + counted.words + len(counted.preprocess.get("pieces", ()))


def test_the_vocabulary_is_what_tells_the_classes_apart(tmp_path: Path) -> None:
    texts = [f"the dress is {'lovely' if row % 2 else 'awful'} and filler{row % 5}" for row in range(40)]
    rows = rows_of({"t": texts}, np.arange(40) % 2)
    run = run_of(tmp_path, rows)
    found = texts_of(rows, wanted_of(run.objective.target(rows), 2), run, size=2, pieces=0, min_rows=2)
    assert all("lovely" in ngram or "awful" in ngram for ngram in found.preprocess["vocabulary"])
    assert found.evidence[1:].min() > 1


def test_texts_without_a_word_are_refused_and_rare_words_are_not(tmp_path: Path) -> None:
    empty = rows_of({"t": ["", None, "  ", "…"]}, np.arange(4) % 2)
    run = run_of(tmp_path, empty)
    with pytest.raises(Rejected, match="no word"):
        texts_of(empty, torch.ones(4, 2), run, size=9, pieces=9, min_rows=2)
    rare = rows_of({"t": ["one", "two", "three", "four"]}, np.arange(4) % 2)
    assert texts_of(rare, torch.ones(4, 2), run, size=9, pieces=9, min_rows=2).words == 4


@pytest.mark.parametrize(
    ("texts", "longest"), [(["房间很大", "ok 服务不错"], 3), (["a big room", "good service 好"], 2)]
)
def test_scripts_without_spaces_get_longer_ngrams(texts: list[str], longest: int) -> None:
    assert Corpus.of([[tokens(text)] for text in texts]).longest() == longest


def test_pieces_are_runs_of_characters_but_never_the_whole_word() -> None:
    assert pieces("ab", 3, 5) == ["<ab", "ab>"]
    assert pieces("good", 3, 4) == ["<go", "goo", "ood", "od>", "<goo", "good", "ood>"]
    assert pieces("好", 3, 5) == []
    assert len(pieces("a" * 100_000, 3, 5)) == len(pieces("a" * 40, 3, 5))


def test_words_that_were_met_before_change_nothing() -> None:
    features = TextFeatures(
        {"inputs": ["t"], "ngrams": [1, 1], "vocabulary": ["good"], "pieces": ["goo", "<go"], "piece_sizes": [3, 5]}
    )
    first = features.sparse({"t": ["good goods", "a" * 1_000_000, "good" * 30]})
    again = features.sparse({"t": ["good goods", "a" * 1_000_000, "good" * 30]})
    assert first.ids.tolist() == again.ids.tolist() == [1, 3, 2, 3, 2]
    assert first.counts.tolist() == [1, 2, 2, 1, 10]


def test_a_long_text_is_read_as_far_as_its_limit() -> None:
    assert tokens("ab " * 100_000, 5) == ["ab"] * 5
    assert tokens("x" * 1_000_000, 5) == ["x" * 1_000_000]
