"""The authoriser in process: keys in, policies out, on moto's AWS."""

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest

from modelmill.aws.records import keys
from tests.contract.world import TABLE, event, load_function, moto_world


@pytest.fixture
def authorise(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    with moto_world(monkeypatch):
        yield load_function("serve/authorise")


def ask(authorise: ModuleType, authorization: str) -> dict[str, Any]:
    answer: dict[str, Any] = authorise.handler(event("serve/authorise") | {"authorizationToken": authorization}, None)
    return answer


def take_away() -> dict[str, Any]:
    """Remove the one record that opens, and return it."""
    table = boto3.client("dynamodb")
    (item,) = (i for i in table.scan(TableName=TABLE)["Items"] if i["pk"]["S"].startswith("key#"))
    table.delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})
    return dict(item)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_a_key_opens_every_path_of_its_stage_for_its_tenant(authorise: ModuleType, scheme: str) -> None:
    answer = ask(authorise, f"{scheme} {keys.create('acme', 'laptop')}")
    assert answer["context"] == {"tenant": "acme", "key_name": "laptop"}
    (statement,) = answer["policyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "execute-api:Invoke")
    assert statement["Resource"] == "arn:aws:execute-api:eu-central-1:000000000000:a1b2c3d4e5/api/*"


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Bearer mm_unknown", "Basic bW06bW0=", "mm_x"])
def test_anything_else_is_refused_in_api_gateways_own_word(authorise: ModuleType, authorization: str) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        ask(authorise, authorization)


def test_a_key_is_remembered_for_a_minute_at_most(authorise: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(authorise.time, "monotonic", lambda: clock[0])
    key = keys.create("acme", "laptop")
    ask(authorise, f"Bearer {key}")
    take_away()
    clock[0] += 59
    assert ask(authorise, f"Bearer {key}")["context"]["tenant"] == "acme"
    clock[0] += 2
    with pytest.raises(Exception, match="Unauthorized"):
        ask(authorise, f"Bearer {key}")


def test_a_key_that_was_refused_works_once_it_is_made(authorise: ModuleType) -> None:
    key = keys.create("acme", "laptop")
    item = take_away()
    with pytest.raises(Exception, match="Unauthorized"):
        ask(authorise, f"Bearer {key}")
    boto3.client("dynamodb").put_item(TableName=TABLE, Item=item)
    assert ask(authorise, f"Bearer {key}")["context"]["tenant"] == "acme"


def test_the_key_is_never_printed(authorise: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    key = keys.create("acme", "laptop")
    assert key not in json.dumps(ask(authorise, f"Bearer {key}"))
    with pytest.raises(Exception, match="Unauthorized") as refusal:
        ask(authorise, f"Bearer {key}x")
    printed = capsys.readouterr()
    assert key not in printed.out + printed.err + str(refusal.value)
