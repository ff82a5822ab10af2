"""The smaller records: datasets, API keys, idempotency keys, the audit trail, and the table itself."""

import json
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest

from modelmill.aws import key
from modelmill.aws.records import audit, datasets, idempotency, keys, table
from modelmill.core.data.sources import Source
from modelmill.core.data.version import DatasetVersion, Rows
from modelmill.core.errors import ModelmillError
from modelmill.core.model.spec import Column
from tests.contract.world import TABLE


def dataset_version(version: str = "0123456789abcdef") -> DatasetVersion:
    return DatasetVersion(
        dataset="reviews",
        version=version,
        prefix=f"default/datasets/reviews/{version}/",
        sources=[Source(bucket="uploads", key="default/reviews/first/reviews.csv", size=3)],
        rows=Rows(read=100, used=90, quarantined=10),
        splits={"train": 63, "validation": 13, "test": 14},
        columns=[Column(name="text", kind="text")],
        inputs=[Column(name="text", kind="text")],
        task="text-classification",
        target="label",
        labels=["no", "yes"],
        quarantine={"empty target": 10},
        warnings=[],
    )


def test_a_dataset_version_is_added_once_and_becomes_the_latest() -> None:
    assert datasets.add_version("default", dataset_version())
    created = datasets.get_version("default", "reviews", "0123456789abcdef")
    assert not datasets.add_version("default", dataset_version())
    assert datasets.get_version("default", "reviews", "0123456789abcdef") == created
    datasets.add_version("default", dataset_version("b" * 16))
    found = datasets.get("default", "reviews")
    assert found is not None
    assert found["latest"] == "b" * 16
    assert [each["name"] for each in datasets.names("default")] == ["reviews"]
    assert len(datasets.versions("default", "reviews")) == 2
    assert datasets.names("other") == []


def test_a_key_opens_its_tenant_and_is_not_stored() -> None:
    key = keys.create("default", "laptop")
    found = keys.find(key)
    assert found is not None
    assert (found["tenant"], found["name"]) == ("default", "laptop")
    assert keys.find(key + "x") is None
    assert keys.find("") is None
    assert keys.find("mm_" + "x" * 500) is None
    assert key not in json.dumps(boto3.client("dynamodb").scan(TableName=TABLE)["Items"])


def test_keys_are_taken_back_by_name() -> None:
    lost, again, other = (keys.create("default", name) for name in ("laptop", "laptop", "laptop2"))
    foreign = keys.create("acme", "laptop")
    assert keys.names("default") == ["laptop", "laptop", "laptop2"]
    assert keys.revoke("default", "laptop") == 2
    assert [keys.find(key) is None for key in (lost, again, other, foreign)] == [True, True, False, False]
    assert keys.revoke("default", "laptop") == 0
    assert keys.names("default") == ["laptop2"]


def test_an_operator_makes_lists_and_takes_back_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert key.main(["create", "default", "laptop"]) == 0
    made = capsys.readouterr().out.strip()
    assert (keys.find(made) or {})["tenant"] == "default"
    assert key.main(["list", "default"]) == 0
    assert capsys.readouterr().out == "laptop\n"
    assert key.main(["revoke", "default", "laptop"]) == 0
    assert keys.find(made) is None
    assert key.main(["revoke", "default", "laptop"]) == 1
    assert key.main(["create", "no/tenant", "laptop"]) == 1
    assert "is not a tenant name" in capsys.readouterr().err


def test_an_idempotency_key_keeps_the_first_decision() -> None:
    with ThreadPoolExecutor(8) as pool:
        decisions = set(pool.map(lambda n: idempotency.decide("default", "k", {"a": 1}, f"run-{n}"), range(8)))
    assert len(decisions) == 1
    assert idempotency.decide("other", "k", {"a": 1}, "theirs") == "theirs"
    with pytest.raises(ModelmillError, match="another request") as refusal:
        idempotency.decide("default", "k", {"a": 2}, "run-9")
    assert refusal.value.status == 422


def test_the_audit_trail_is_newest_first() -> None:
    audit.add("default", "delete-model", "a", "laptop")
    audit.add("default", "delete-model", "b", "laptop")
    assert [(each["action"], each["name"], each["who"]) for each in audit.latest("default")] == [
        ("delete-model", "b", "laptop"),
        ("delete-model", "a", "laptop"),
    ]
    assert audit.latest("other") == []


def test_a_partition_is_queried_over_pages_and_deleted_whole() -> None:
    filler = "x" * 40_000  # 60 items are more than the 1 MB of one page
    for index in range(60):
        table.put("p", f"{index:03}", {"index": index, "filler": filler})
    table.put("q", "000", {})
    assert [table.body_of(item)["index"] for item in table.query("p")] == list(range(60))
    newest = table.query("p", newest_first=True, limit=40)
    assert [table.body_of(item)["index"] for item in newest] == list(range(59, 19, -1))
    assert [item["sk"]["S"] for item in table.query("p", "01")] == [f"01{digit}" for digit in range(10)]
    table.delete_partition("p")
    assert list(table.query("p")) == []
    assert len(list(table.query("q"))) == 1


def test_a_taken_key_is_not_written_again() -> None:
    table.put("p", "s", {"n": 1}, new=True)
    with pytest.raises(table.ConditionFailed):
        table.put("p", "s", {"n": 2}, new=True)
    assert table.get("p", "s", consistent=True) == {"n": 1}
    table.delete("p", "s")
    table.delete("p", "s")
    assert table.get("p", "s") is None
