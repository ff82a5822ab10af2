"""Names and upload keys: what is accepted, what is refused, and that accepted keys survive a round trip."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmill.core.errors import Rejected
from modelmill.core.names import UploadKey, check_name, quarantine_key

NAMES = st.from_regex(r"[A-Za-z0-9一-鿿][A-Za-z0-9_-]{0,20}", fullmatch=True)


@pytest.mark.parametrize("name", ["reviews", "评论-2026", "a.b_c-d", "x" * 64, "7"])
def test_usable_names(name: str) -> None:
    assert check_name("dataset", name) == name


@pytest.mark.parametrize("name", ["", "..", "a/b", "-a", ".hidden", "a b", "x" * 65, "a\n", "a..b", "a%2Fb", "_x"])
def test_unusable_names_are_refused_with_a_hint(name: str) -> None:
    with pytest.raises(Rejected) as refusal:
        check_name("dataset", name)
    assert refusal.value.code == "bad_name"
    assert refusal.value.hint


def test_a_decomposed_name_is_the_same_name() -> None:
    assert check_name("dataset", "cafe\u0301") == "caf\u00e9"


@given(NAMES, NAMES, NAMES, st.text(min_size=1, max_size=40))
def test_a_key_survives_a_round_trip(tenant: str, dataset: str, upload_id: str, file: str) -> None:
    key = UploadKey(tenant, dataset, upload_id, file)
    assert UploadKey.parse(key.key) == key


@pytest.mark.parametrize("key", ["file.csv", "a/file.csv", "a/b/file.csv", "a/b/c/", "/b/c/d", "a//c/d", "a/../c/d"])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(Rejected):
        UploadKey.parse(key)


def test_the_recipe_lies_beside_the_file_and_is_known_as_one() -> None:
    upload = UploadKey.parse("default/reviews/u1/part/reviews.csv")
    assert upload.recipe_key == "default/reviews/u1/recipe.yaml"
    assert UploadKey.parse(upload.recipe_key).is_recipe
    assert not upload.is_recipe
    assert quarantine_key(upload) == "default/quarantine/reviews/u1/part/reviews.csv"
