"""What is served is what was trained: stored rows with pseudonyms, raw rows at the endpoint, one model for both."""

import json

import numpy as np
import pytest

from modelmill.core.data.mask import Pseudonyms
from modelmill.core.model.recipe import Mask
from modelmill.serving.features import Features
from tests.unit.model.samples import REVIEW_INPUTS, REVIEW_SPLITS, Cells
from tests.unit.model.world import Cloud

PERSON = "of alice@example.com, 13800138000"


def masked_splits(key: bytes) -> dict[str, Cells]:
    """The review sample with a person in each text, as it is stored for a tenant with this key."""
    stored = Pseudonyms(key).mask(PERSON)[0]
    return {
        split: {"text": [f"{text} {stored}" for text in cells["text"]], "label": cells["label"]}
        for split, cells in REVIEW_SPLITS.items()
    }


@pytest.mark.parametrize("candidate", ["ngram-linear", "ngram-embedding"])
def test_a_model_learns_kinds_and_reads_raw_rows_the_same(cloud: Cloud, candidate: str) -> None:
    splits = masked_splits(b"a" * 32)
    cloud.put_run("r1", "text-classification", REVIEW_INPUTS, splits)
    assert cloud.job("train", "r1", candidate) == 0
    preprocess = cloud.json(f"default/runs/r1/candidates/{candidate}/preprocess.json")
    words = {word for ngram in preprocess["vocabulary"] for word in ngram.split()}
    assert {"maskemail", "maskphone"} <= words
    assert not [word for word in words if any(character.isdigit() for character in word) or word in ("alice", "email")]
    features = Features(preprocess)
    raw = features.arrays({"text": [f"{text} {PERSON}" for text in REVIEW_SPLITS["test"]["text"]]})
    stored = features.arrays({"text": splits["test"]["text"]})
    assert all(np.array_equal(raw[name], stored[name]) for name in raw)


def test_the_key_makes_no_other_model(cloud: Cloud) -> None:
    for number, key in enumerate((b"a" * 32, b"b" * 32)):
        cloud.put_run(f"r{number}", "text-classification", REVIEW_INPUTS, masked_splits(key))
        assert cloud.job("train", f"r{number}", "ngram-linear") == 0
    first, second = (cloud.json(f"default/runs/r{n}/candidates/ngram-linear/preprocess.json") for n in (0, 1))
    assert first == second


def test_a_category_of_phones_is_one_category(cloud: Cloud) -> None:
    def shops(cells: Cells) -> Cells:
        many = [Pseudonyms(b"a" * 32).mask(f"1390013{n:04}")[0] for n in range(len(cells["label"]))]
        return {"shop": [many[n] if n % 3 else "town" for n in range(len(many))], "label": cells["label"]}

    splits = {split: shops(cells) for split, cells in REVIEW_SPLITS.items()}
    cloud.put_run("r1", "tabular-classification", {"shop": "category"}, splits)
    assert cloud.job("train", "r1", "linear") == 0
    preprocess = cloud.json("default/runs/r1/candidates/linear/preprocess.json")
    assert preprocess["categories"] == [{"name": "shop", "values": ["<maskphone>", "town"]}]
    arrays = Features(preprocess).arrays({"shop": ["13712345678", 13712345678, "town", "new"]})
    assert arrays["categories"].tolist() == [[1], [1], [2], [0]]


def test_without_masking_a_package_says_nothing_of_it(cloud: Cloud) -> None:
    cloud.put_run("r1", "text-classification", REVIEW_INPUTS, REVIEW_SPLITS, mask=Mask(default=False))
    assert cloud.job("train", "r1", "ngram-linear") == 0
    preprocess = cloud.json("default/runs/r1/candidates/ngram-linear/preprocess.json")
    assert "mask" not in preprocess
    assert json.dumps(preprocess["vocabulary"]).count("mask") == 0
