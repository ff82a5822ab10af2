"""The key of a tenant's pseudonyms: one for all runs, also for parallel ones, and nowhere to be seen."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow.parquet
import pytest

from modelmill.aws import objects
from modelmill.aws.records import mask_key, table
from tests.functions.data.conftest import DATA, UPLOADS, event, handler_of
from tests.unit.data.files import reviews

preprocess = handler_of("preprocess")
pytestmark = pytest.mark.usefixtures("aws")


def test_a_tenant_keeps_its_key_and_shares_it_with_nobody() -> None:
    assert mask_key.pseudonyms("a").of("email", "x") == mask_key.pseudonyms("a").of("email", "x")
    assert mask_key.pseudonyms("a").of("email", "x") != mask_key.pseudonyms("b").of("email", "x")
    assert len(bytes.fromhex((table.get("a#mask", "key") or {})["key"])) == 32


def test_who_comes_second_takes_the_key_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    first = mask_key.pseudonyms("a").of("email", "x")
    real, blind = table.get, iter([None])
    monkeypatch.setattr(table, "get", lambda *args, **more: next(blind, real(*args, **more)))
    assert mask_key.pseudonyms("a").of("email", "x") == first


def test_runs_at_once_share_one_key() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: mask_key.pseudonyms("a").of("email", "x"), range(24)))) == 1


def test_two_runs_give_a_person_one_pseudonym_and_the_key_is_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    found = set()
    for number, word in enumerate(("dress", "coat")):
        lines = [f"{text} {word} of alice@example.com,{label}" for text, label in reviews(60)]
        key = f"default/reviews/{word}/reviews.csv"
        objects.put(UPLOADS, key, "\n".join(["review,recommended", *lines]).encode())
        upload: dict[str, Any] = {**event("preprocess")["upload"], "key": key}
        answer = preprocess(
            event("preprocess") | {"upload": upload, "run_id": f"20261124T10153{number}-f00dfeed00"}, None
        )
        rows = objects.get(DATA, f"default/datasets/reviews/{answer['dataset_version']}/train.parquet")
        texts = pyarrow.parquet.read_table(io.BytesIO(rows)).column("review").to_pylist()
        found |= {text.rsplit(" ", 1)[1] for text in texts}
        assert "60 e-mail addresses were masked in column review" in json.dumps(answer["warnings"])
    assert len(found) == 1
    secret = (table.get("default#mask", "key") or {})["key"]
    captured = capsys.readouterr()
    assert secret not in captured.out + captured.err
    assert "alice" not in captured.out + captured.err
    for stored in objects.keys(DATA, ""):
        assert b"alice@example" not in objects.get(DATA, stored)
        assert secret.encode() not in objects.get(DATA, stored)
