"""The page: a version, its statistics, quarantined and sample rows in; one self-contained HTML document out.

No scripts, no outside assets; every string of the data goes through Jinja's autoescape. Equal input, equal bytes.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from modelmill.core.data.version import DatasetVersion, DataWarning
from modelmill.frames.report import charts, wording

CARDS = 200
CLASSES = 20
SIGNALS = 20
QUARANTINED_ROWS = 5
SAMPLE_COLUMNS = 20
LEAK = 0.9
"""An input that removes so much of the target's uncertainty deserves a question."""
_MARK = Markup("<code>{}</code>")
_ORDER = ("target", "input", "left out")


def render(
    version: DatasetVersion,
    document: Mapping[str, Any],
    quarantine: Sequence[Mapping[str, Any]],
    examples: Sequence[Mapping[str, str | None]],
) -> bytes:
    """The report in UTF-8. `document` is profile.json's: profiles under `file`, statistics under `used`."""
    used = document["used"]
    profiles = {column["name"]: column for column in document["file"]["columns"]}
    cards = _ordered(used)
    page = _template().render(
        version=version,
        used=used,
        warnings=_warnings(version.warnings),
        quarantine=_quarantine(version.quarantine, quarantine),
        classes=_top(used["classes"], CLASSES),
        signals=_signals(used, version),
        cards=[_card(column, profiles[column["name"]]) for column in cards[:CARDS]],
        heat=used["correlations"],
        names=[column["name"] for column in cards[:SAMPLE_COLUMNS]],
        examples=examples,
        leak=LEAK,
    )
    return page.encode("utf-8", "replace")


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": _code, "correlation": wording.correlation, "number": wording.number}
    environment.filters |= {"percent": wording.percent, "shown": wording.shown}
    environment.globals |= {"charts": charts, "listed_rows": wording.listed_rows}
    return environment.get_template("template.html")


def _code(text: str) -> Markup:
    """Text with `these marks` around code."""
    parts = text.split("`")
    return Markup("").join(_MARK.format(part) if index % 2 else part for index, part in enumerate(parts))


def _ordered(used: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Columns by use, then as in the file; where not all can be shown, those first that say most about the target."""
    columns = used["columns"]
    rank = {entry["name"]: place for place, entry in enumerate(used["associations"])} if len(columns) > CARDS else {}
    return sorted(columns, key=lambda column: (_ORDER.index(column["use"]), rank.get(column["name"], len(columns))))


def _warnings(warnings: Sequence[DataWarning]) -> list[dict[str, Any]]:
    """What is the matter, each message about it, and what to do: first what needs a person, then what is `calm`."""
    messages: dict[str, list[str]] = {}
    for warning in warnings:
        messages.setdefault(warning.code, []).append(warning.message[:1].upper() + warning.message[1:])
    found = []
    for code, texts in messages.items():
        title, advice = wording.WARNINGS.get(code, (code.replace("_", " ").capitalize(), ""))
        found.append({"title": title, "messages": texts, "advice": advice, "calm": advice.startswith("Nothing to do")})
    return sorted(found, key=lambda warning: warning["calm"])


def _quarantine(reasons: Mapping[str, int], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Reasons, the most frequent first, with the numbers of their first rows."""
    first: dict[str, list[int]] = {reason: [] for reason in reasons}
    for row in rows:
        if len(first[row["reason"]]) < QUARANTINED_ROWS:
            first[row["reason"]].append(row["row"])
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return [
        {"code": code, "words": wording.REASONS.get(code, code), "count": count, "rows": first[code]}
        for code, count in ranked
    ]


def _top(entries: Sequence[dict[str, Any]], most: int) -> dict[str, Any]:
    """The first entries, and how many values and rows the others have."""
    rest = entries[most:]
    return {"top": entries[:most], "other": {"distinct": len(rest), "count": sum(entry["count"] for entry in rest)}}


def _signals(used: Mapping[str, Any], version: DatasetVersion) -> dict[str, Any]:
    """The strongest associations with the target: inputs, and apart from them the columns that were left out."""
    by_name = {column["name"]: column for column in used["columns"]}
    ranked = [{**by_name[entry["name"]], "share": entry["share"]} for entry in used["associations"]]
    inputs = [entry for entry in ranked if entry["use"] == "input"]
    others = [entry for entry in ranked if entry["use"] != "input"]
    return {
        "inputs": inputs[:SIGNALS],
        "others": others[:SIGNALS],
        "unseen": max(0, len(inputs) - SIGNALS) + max(0, len(others) - SIGNALS),
        "text": version.task == "text-classification",
    }


def _card(column: Mapping[str, Any], profile: Mapping[str, Any]) -> dict[str, Any]:
    """A column's chart with the figures of its profile."""
    values = profile["rows"] - profile["nulls"]
    return {
        **column,
        "missing": profile["nulls"] / max(1, profile["rows"]),
        "distinct": min(values, profile["distinct"]),
        "numbers": profile.get("numbers") if column["kind"] == "number" else None,
        "text": profile.get("text") if column["kind"] == "text" else None,
    }
