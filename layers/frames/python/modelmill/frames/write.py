"""What a version says of itself: prepared data and the version in; profiles, report and version as files, out."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelmill.core.data.columns import Facts
from modelmill.core.data.version import DatasetVersion
from modelmill.frames.finish import Prepared
from modelmill.frames.report.page import first_rows, render
from modelmill.frames.report.stats import statistics
from modelmill.frames.understand import outliers

EXAMPLES = 5
"""Rows that the report shows as they are."""


def write(prepared: Prepared, version: DatasetVersion, folder: Path) -> None:
    """Store profile.bin, profile.json, report.html and version.json beside the rows.

    `profile.bin` is of the training rows (what monitoring compares with), `profile.json` of the whole file as well,
    with all that `report.html` draws (see `frames.report`).
    """
    people = document(prepared)
    for name, data in (
        ("profile.bin", prepared.train_profile.to_bytes()),
        ("profile.json", json.dumps(people, ensure_ascii=False, indent=1).encode("utf-8", "replace")),
        ("report.html", render(version, people)),
        ("version.json", version.model_dump_json().encode()),
    ):
        (folder / name).write_bytes(data)


def document(prepared: Prepared) -> dict[str, Any]:
    """profile.json."""
    decisions = prepared.decisions
    hidden = decisions.masks.hidden

    def masked(value: str) -> str:
        return prepared.pseudonyms.mask(value, decisions.masks.kinds)[0]

    return {
        "file": prepared.file_profile.as_dict(masked, hidden),
        "train": prepared.train_profile.as_dict(masked, hidden),
        "masked": {name: {**kinds} for name, kinds in prepared.masked.items()},
        "actions": [
            {"column": column, "action": action, "count": count}
            for (column, action), count in sorted(prepared.actions.items())
        ],
        "facts": {name: _facts(name, prepared) for name in prepared.file_profile.columns if name not in hidden},
        "labels_unified": decisions.form.spellings,
        "split": {
            "by": decisions.by,
            "group": decisions.group,
            "time": decisions.time,
            "column": decisions.given,
            "folds": prepared.settled.folds,
            "seed": decisions.seed,
        },
        **({} if prepared.media is None else {"media": prepared.media}),
        "quarantine": first_rows(prepared.quarantined),
        "examples": _examples(prepared),
        "used": statistics(
            prepared.sample,
            prepared.plan,
            {name: counts.total() for name, counts in prepared.splits.items()},
            prepared.splits if prepared.decisions.has_classes else None,
            decisions.facts,
        ),
    }


def _examples(prepared: Prepared) -> list[dict[str, Any]]:
    """Rows as they are stored, but for the path of a file in place of its bytes."""
    files = [column.name for column in prepared.decisions.columns if column.kind in ("image", "audio")]
    rows: list[dict[str, Any]] = prepared.sample.slice(0, EXAMPLES).to_pylist()
    return [row | {name: row[name].partition(":")[2] for name in files if row[name]} for row in rows]


def _facts(name: str, prepared: Prepared) -> dict[str, Any]:
    """What was understood of a column, with the outliers of its numbers (flagged, never changed)."""
    facts = asdict(prepared.decisions.facts.get(name, Facts()))
    column = prepared.file_profile.columns[name]
    if {each.name: each.kind for each in prepared.decisions.columns}.get(name) == "number":
        values = prepared.sample.column(name).combine_chunks() if name in prepared.sample.column_names else None
        found = None if values is None else outliers(column.quantiles, column.moments.count, values)
        facts["outliers"] = None if found is None else asdict(found)
    return facts
