"""Targets of tags: told from words with punctuation, and stored sorted and once each."""

import csv
import io
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmill.core.data.tags import JSON, separator_of, tags_of
from tests.unit.data.files import prepared

TOPICS = ["news", "sport", "music", "food", "travel"]
TAG = st.text(st.sampled_from("abc 体育é/"), min_size=1, max_size=6).map(lambda tag: " ".join(tag.split())).filter(bool)


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["news|sport", "sport", "music|news", "food|music", "food|sport"], "|"),
        (["体育；新闻", "新闻", "音乐；体育", "新闻；音乐"], "；"),
        (['["news", "sport"]', '["sport"]', "[]"], JSON),
        (["Smith, John", "Miller, Anna", "Jones, Tom", "Li, Wei"], None),
        (["yes", "no"], None),
        (["1,000", "2,000", "1,500", "3,250"], None),
        (["[1, 2]", "[3]"], None),
    ],
)
def test_lists_are_told_from_words(cells: list[str], separator: str | None) -> None:
    assert separator_of(cells) == separator


@given(st.lists(TAG, max_size=6), st.sampled_from(["|", ";", ","]))
def test_the_tags_of_a_cell_are_sorted_and_each_once(tags: list[str], separator: str) -> None:
    assert tags_of(f" {separator} ".join(tags), separator) == sorted(set(tags))


def test_a_file_of_tags_becomes_a_version(tmp_path: Path) -> None:
    dice = random.Random(3)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["text", "tags"])
    for row in range(300):
        tags = dice.sample(TOPICS, dice.randint(1, 3))
        table.writerow([" ".join([*tags, "story number", str(row), *dice.choices("abcdefgh", k=4)]), "; ".join(tags)])
    made = prepared(tmp_path, text.getvalue())
    assert (made.decisions.task, made.labels) == ("text-multilabel", sorted(TOPICS))
    stored = [cell for rows in made.splits.values() for cell in rows.column("tags").to_pylist()]
    assert len(stored) == 300
    assert all(cell.split("|") == sorted(set(cell.split("|"))) for cell in stored)
    assert made.version().labels == sorted(TOPICS)
    assert made.stored()["report.html"]
