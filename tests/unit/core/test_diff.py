"""How two versions differ: only what changed, bounded, the largest changes first."""

from typing import Any

from modelmill.core.data.diff import SHIFTED, diff
from modelmill.core.data.version import DatasetVersion, data_recipe
from modelmill.core.model.recipe import Recipe, Split
from tests.contract.test_records import dataset_version


def document(**changes: Any) -> dict[str, Any]:
    return dataset_version().model_dump(mode="json") | changes


def profile(**columns: dict[str, Any]) -> dict[str, Any]:
    default = {"rows": 100, "nulls": 0, "distinct": 5}
    return {"file": {"rows": 100, "columns": [{"name": name} | default | c for name, c in columns.items()]}}


def numbers(mean: float, deviation: float | None = 1.0, count: int = 100) -> dict[str, Any]:
    return {"numbers": {"count": count, "mean": mean, "deviation": deviation, "quantiles": {"0.5": mean}}}


def test_the_same_version_differs_in_nothing() -> None:
    same = profile(a=numbers(1.0))
    found = diff(document(), document(), same, same)
    assert found["statistics"] == {"columns": [], "left_out": 0}
    assert (found["task"], found["target"], found["quarantine"], found["recipe"]) == (None, None, {}, {})
    assert found["columns"] == {"added": [], "removed": [], "changed": []}
    assert found["warnings"] == {"came": [], "went": []}
    assert found["rows"]["read"] == {"from": 100, "to": 100}


def test_every_change_is_named() -> None:
    old = document(recipe=data_recipe(Recipe()), masked={"text": {"email": 3}})
    new = document(
        version="b" * 16,
        labels=["yes", "maybe"],
        task="tabular-classification",
        quarantine={"duplicate": 2},
        columns=[{"name": "text", "kind": "category"}, {"name": "age", "kind": "number"}],
        warnings=[{"code": "w", "message": "look"}],
        masked={"text": {"email": 4, "phone": 1}},
        recipe=data_recipe(Recipe(seed=8, split=Split(by="random"))),
    )
    found = diff(old, new, None, None)
    assert (found["from"], found["to"]) == ("0123456789abcdef", "b" * 16)
    assert found["labels"] == {"added": ["maybe"], "removed": ["no"]}
    assert found["task"] == {"from": "text-classification", "to": "tabular-classification"}
    assert found["quarantine"] == {"empty target": {"from": 10, "to": None}, "duplicate": {"from": None, "to": 2}}
    assert found["columns"] == {
        "added": [{"name": "age", "kind": "number"}],
        "removed": [],
        "changed": [{"name": "text", "from": "text", "to": "category"}],
    }
    assert found["warnings"] == {"came": [{"code": "w", "message": "look"}], "went": []}
    assert set(found["masked"]) == {"text.email", "text.phone"}
    assert found["recipe"] == {"seed": {"from": 7, "to": 8}, "split.by": {"from": None, "to": "random"}}
    assert found["statistics"] is None


def test_columns_that_moved_most_come_first_and_the_rest_is_counted() -> None:
    old = profile(**{f"c{n}": numbers(0.0) for n in range(SHIFTED + 5)}, gone={})
    new = profile(**{f"c{n}": numbers(float(n)) for n in range(SHIFTED + 5)}, new={})
    found = diff(document(), document(), old, new)["statistics"]
    assert [one["name"] for one in found["columns"]][:2] == [f"c{SHIFTED + 4}", f"c{SHIFTED + 3}"]
    assert (len(found["columns"]), found["left_out"]) == (SHIFTED, 4)


def test_numbers_that_are_none_do_no_harm() -> None:
    old = profile(a=numbers(float("nan")), b=numbers(1.0, 0.0), c={"rows": 0}, d=numbers(1.0, None), e=numbers(1.0))
    new = profile(a=numbers(1.0), b=numbers(2.0, 0.0), c={"nulls": 100}, d=numbers(1.0), e=numbers(0, count=0))
    moved = diff(document(), document(), old, new)["statistics"]["columns"]
    assert {one["name"]: one["shift"] for one in moved} == {"b": 1e9, "c": 1.0}


def test_a_document_of_before_is_read_as_one_of_now() -> None:
    old = dataset_version().model_dump(mode="json", exclude={"sources", "recipe"})
    source = {"bucket": "b", "key": "k", "version_id": "v"}
    read = DatasetVersion.model_validate(old | {"source": source})
    assert [(one.key, one.version_id, one.size) for one in read.sources] == [("k", "v", None)]
    assert read.recipe == {}
