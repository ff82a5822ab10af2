"""How two versions of a dataset differ: their documents and profiles in; only what changed, as JSON values, out.

A change is `{"from", "to"}`. Statistics are of all rows that were read; the columns that moved most come first.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from math import isfinite
from typing import Any

from modelmill.core.limits import MIB

PROFILE_BYTES = 32 * MIB
"""Larger profiles are not compared: they have to be held in memory, twice."""
SHIFTED = 50
"""Columns whose statistics are listed."""
_LARGEST_SHIFT = 1e9
Document = Mapping[str, Any]
Change = dict[str, Any]


def diff(old: Document, new: Document, old_profile: Document | None, new_profile: Document | None) -> dict[str, Any]:
    """Changes from `old` to `new`, which are versions' documents; `statistics` is None without both profiles."""
    statistics = None
    if old_profile is not None and new_profile is not None:
        statistics = _statistics(old_profile, new_profile)
    return {
        "from": old["version"],
        "to": new["version"],
        "rows": _all(old["rows"], new["rows"]),
        "splits": _all(old["splits"], new["splits"]),
        "task": _changed(old["task"], new["task"]),
        "target": _changed(old["target"], new["target"]),
        "labels": _sets(old["labels"], new["labels"]),
        "columns": _columns(old["columns"], new["columns"]),
        "inputs": _columns(old["inputs"], new["inputs"]),
        "statistics": statistics,
        "quarantine": _leaves(old["quarantine"], new["quarantine"]),
        "warnings": _warnings(old["warnings"], new["warnings"]),
        "masked": _leaves(old.get("masked", {}), new.get("masked", {})),
        "recipe": _leaves(old.get("recipe", {}), new.get("recipe", {})),
    }


def _all(old: Document, new: Document) -> dict[str, Change]:
    return {name: {"from": old.get(name, 0), "to": new.get(name, 0)} for name in dict.fromkeys(chain(old, new))}


def _changed(old: Any, new: Any) -> Change | None:
    return None if old == new else {"from": old, "to": new}


def _sets(old: list[str], new: list[str]) -> dict[str, list[str]]:
    before, after = set(old), set(new)
    return {"added": [each for each in new if each not in before], "removed": [one for one in old if one not in after]}


def _columns(old: list[Document], new: list[Document]) -> dict[str, Any]:
    before, after = ({one["name"]: one["kind"] for one in columns} for columns in (old, new))
    kinds = {name: (kind, after[name]) for name, kind in before.items() if name in after}
    return {
        "added": [{"name": name, "kind": kind} for name, kind in after.items() if name not in before],
        "removed": [{"name": name, "kind": kind} for name, kind in before.items() if name not in after],
        "changed": [{"name": name, "from": was, "to": now} for name, (was, now) in kinds.items() if was != now],
    }


def _warnings(old: list[Document], new: list[Document]) -> dict[str, list[Document]]:
    return {"came": [each for each in new if each not in old], "went": [each for each in old if each not in new]}


def _leaves(old: Any, new: Any) -> dict[str, Change]:
    """Values that differ, by their path; a count or a field that is only on one side is None on the other."""
    before, after = dict(_walk(old, ())), dict(_walk(new, ()))
    paths = dict.fromkeys(chain(before, after))
    changes = {path: _changed(before.get(path), after.get(path)) for path in paths}
    return {".".join(path): change for path, change in changes.items() if change is not None}


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _walk(inner, (*path, str(name)))
    else:
        yield path, value


def _statistics(old: Document, new: Document) -> dict[str, Any]:
    before, after = ({one["name"]: one for one in profile["file"]["columns"]} for profile in (old, new))
    pairs = [_column(name, before[name], after[name]) for name in before if name in after]
    moved = sorted((pair for pair in pairs if pair["shift"] > 0), key=lambda pair: (-pair["shift"], pair["name"]))
    return {"columns": moved[:SHIFTED], "left_out": max(0, len(moved) - SHIFTED)}


def _column(name: str, old: Document, new: Document) -> dict[str, Any]:
    """`shift` is the larger of the change of the missing share and that of the mean, in the old one's deviations."""
    was, now = old.get("numbers") or {}, new.get("numbers") or {}
    missing = [column["nulls"] / column["rows"] if column["rows"] else 0.0 for column in (old, new)]
    changes: dict[str, Any] = {"missing": _changed(*missing), "distinct": _changed(old["distinct"], new["distinct"])}
    shift = abs(missing[1] - missing[0])
    if was.get("count") and now.get("count"):
        changes["mean"] = _changed(was["mean"], now["mean"])
        changes["quantiles"] = _leaves(was.get("quantiles") or {}, now.get("quantiles") or {}) or None
        shift = max(shift, _deviations(was, now))
    return {"name": name, "shift": shift, **{what: change for what, change in changes.items() if change is not None}}


def _deviations(was: Document, now: Document) -> float:
    distance, deviation = abs(now["mean"] - was["mean"]), was["deviation"] or 0.0
    if distance == 0 or not isfinite(distance):
        return 0.0
    return min(distance / deviation, _LARGEST_SHIFT) if deviation > 0 else _LARGEST_SHIFT
