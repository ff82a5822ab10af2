"""The page: version.json and profile.json in; one self-contained HTML document out.

No scripts, no outside assets; every string of the data goes through Jinja's autoescape. Equal input, equal bytes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from modelmill.core.data.version import DatasetVersion, DataWarning
from modelmill.core.model.task import answers_of
from modelmill.frames.report import charts, wording

CARDS = 60
LISTED = 1_000
CLASSES = 20
SIGNALS = 20
QUARANTINED_ROWS = 5
SAMPLE_COLUMNS = 20
ACTIONS = 40
MASKED = 100
PICTURES, PICTURE_CHARACTERS = 24, 200_000
LEAK = 0.9
"""An input that removes so much of the target's uncertainty deserves a question."""
_MARK = Markup("<code>{}</code>")
_ORDER = ("target", "input", "left out")


def first_rows(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The `quarantine` of profile.json: of rows {row, reason, raw}, in their order, the first of each reason."""
    seen: Counter[str] = Counter()
    first = []
    for row in rows:
        seen[row["reason"]] += 1
        if seen[row["reason"]] <= QUARANTINED_ROWS:
            first.append(row)
    return first


def render(version: DatasetVersion, document: Mapping[str, Any]) -> bytes:
    """The report in UTF-8 of a version and of its profile.json (see the package's docstring)."""
    used = document["used"]
    columns = _columns(used, document)
    page = _template().render(
        version=version,
        used=used,
        warnings=_warnings(version.warnings),
        quarantine=_quarantine(version.quarantine, document.get("quarantine", [])),
        classes=_top(used["classes"] or [], CLASSES),
        measure=next((c for c in columns if answers_of(version.task) == "regression" and c["use"] == "target"), None),
        split=_split(document.get("split", {})),
        signals=_signals(used, version),
        columns=columns,
        cards=columns[:CARDS],
        listed=columns[:LISTED],
        pictures=[picture for picture in (_correlations(used), _pairs(used)) if len(picture["names"]) > 1],
        missing=used.get("missing"),
        actions=_actions(document.get("actions", [])),
        labels=document.get("labels_unified", {}),
        masked=_masked(document.get("masked", version.masked)),
        media=_media(document["media"]) if "media" in document else None,
        names=[column["name"] for column in columns[:SAMPLE_COLUMNS]],
        examples=document.get("examples", []),
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
    environment.filters |= {"percent": wording.percent, "shown": wording.shown, "day": wording.day}
    environment.filters |= {"bytes": wording.size, "spaced": wording.spaced}
    environment.globals |= {"charts": charts, "listed_rows": wording.listed_rows, "glossary": wording.GLOSSARY}
    return environment.get_template("template.html")


def _code(text: str) -> Markup:
    """Text with `these marks` around code."""
    parts = text.split("`")
    return Markup("").join(_MARK.format(part) if index % 2 else part for index, part in enumerate(parts))


def _columns(used: Mapping[str, Any], document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Columns by use, then as in the file; where not all can be shown, those first that say most about the target."""
    columns = used["columns"]
    rank = {entry["name"]: place for place, entry in enumerate(used["associations"])} if len(columns) > CARDS else {}
    ordered = sorted(columns, key=lambda column: (_ORDER.index(column["use"]), rank.get(column["name"], len(columns))))
    profiles = {column["name"]: column for column in document["file"]["columns"]}
    facts, actions = document.get("facts", {}), document.get("actions", [])
    formulas = {entry["column"]: entry["count"] for entry in actions if entry["action"] == "formula"}
    return [
        _column(column, profiles[column["name"]], facts.get(column["name"], {}), formulas.get(column["name"], 0))
        for column in ordered
    ]


def _column(
    column: Mapping[str, Any], profile: Mapping[str, Any], facts: Mapping[str, Any], formulas: int
) -> dict[str, Any]:
    """A column's chart with the figures of its profile and what else is known of it."""
    values = profile["rows"] - profile["nulls"]
    language = facts.get("language")
    return {
        **column,
        "missing": profile["nulls"] / max(1, profile["rows"]),
        "distinct": min(values, profile["distinct"]),
        "numbers": profile.get("numbers") if column["kind"] == "number" else None,
        "text": profile.get("text") if column["kind"] == "text" else None,
        "language": wording.LANGUAGES.get(language, language) if language else None,
        "html": bool(facts.get("html")),
        "outliers": facts.get("outliers"),
        "formulas": formulas,
        "chart": column.get("histogram") or column.get("lengths") or column.get("dates"),
    }


def _warnings(warnings: Sequence[DataWarning]) -> list[dict[str, Any]]:
    """What is the matter, each message about it, and what to do: `loud` leaks, what needs a person, what is `calm`."""
    messages: dict[str, list[str]] = {}
    for warning in warnings:
        # What leaks are said of begins with the name of a column, which is no word to be capitalised.
        first = warning.message[:1] if warning.code in wording.LEAKS else warning.message[:1].upper()
        messages.setdefault(warning.code, []).append(first + warning.message[1:])
    found = []
    words = wording.LEAKS | wording.WARNINGS
    for code, texts in messages.items():
        title, advice = words.get(code, (code.replace("_", " ").capitalize(), ""))
        tone = "loud" if code in wording.LEAKS else "calm" if advice.startswith("Nothing to do") else "plain"
        found.append({"title": title, "messages": texts, "advice": advice, "tone": tone})
    return sorted(found, key=lambda warning: ("loud", "plain", "calm").index(warning["tone"]))


def _quarantine(reasons: Mapping[str, int], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Reasons, the most frequent first, with the numbers of their first rows and one of them as it came."""
    first: dict[str, list[Mapping[str, Any]]] = {reason: [] for reason in reasons}
    for row in rows:
        first[row["reason"]].append(row)
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return [
        {
            "words": wording.REASONS.get(code, code),
            "count": count,
            "rows": [row["row"] for row in first[code]],
            "raw": _raw(first[code][0]["raw"]) if first[code] else "",
        }
        for code, count in ranked
    ]


def _raw(raw: Any) -> str:
    """A row as one line: what stood there, or `column: value` for each cell that is not empty."""
    if not isinstance(raw, dict):
        return str(raw)
    return "; ".join(f"{name[:40]}: {value[:80]}" for name, value in raw.items() if value)


def _top(entries: Sequence[dict[str, Any]], most: int) -> dict[str, Any]:
    """The first entries, and how many values and rows the others have."""
    rest = entries[most:]
    return {"top": entries[:most], "other": {"distinct": len(rest), "count": sum(entry["count"] for entry in rest)}}


def _split(split: Mapping[str, Any]) -> dict[str, Any]:
    by = split.get("by") or "stratified"
    column = split.get("group") or split.get("time") or split.get("column")
    return {
        "words": wording.SPLITS.get(by, by),
        "column": column,
        "seed": split.get("seed"),
        "folds": split.get("folds"),
    }


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
        "text": version.task.startswith("text-"),
    }


def _correlations(used: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": "Correlation of the number columns",
        "words": "From −1 (one falls as the other rises) to 1 (they rise together)."
        " Two inputs near ±1 say the same thing twice.",
        **used["correlations"],
    }


def _pairs(used: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": "Columns that go together",
        "words": "Of words, dates and numbers alike: 0 if one column says nothing about the other, 1 if it says all"
        " (Cramér's V of values or ranges of values, corrected for chance).",
        **used.get("pairs", {"names": [], "matrix": []}),
    }


def _actions(actions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What was done to how many cells, most first, with an example."""
    ranked = sorted(actions, key=lambda entry: (-entry["count"], entry["column"], entry["action"]))
    shown = [
        {
            **entry,
            "words": wording.ACTIONS.get(entry["action"], entry["action"]),
            "example": next(iter(entry.get("examples") or ()), None),
        }
        for entry in ranked[:ACTIONS]
    ]
    return {"shown": shown, "unseen": len(ranked) - len(shown)}


def _masked(masked: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """A table of columns and kinds of personal data."""
    columns = {name: kinds for name, kinds in masked.items() if any(kinds.values())}
    kinds = sorted({kind for found in columns.values() for kind, count in found.items() if count})
    return {"kinds": kinds, "columns": dict(list(columns.items())[:MASKED]), "unseen": max(0, len(columns) - MASKED)}


def _media(media: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of words (format, mode …) and spreads of numbers (width, seconds …), with some of the files."""
    told = {
        name: value for name, value in media.items() if isinstance(value, dict) and name not in ("notes", "refused")
    }
    return {
        "kind": media["kind"],
        "count": media["count"],
        "words": [
            (name.replace("_", " "), sorted(value.items(), key=lambda item: (-item[1], item[0])))
            for name, value in told.items()
            if "bins" not in value
        ],
        "spreads": [
            (name, value, [count for _, count in value["bins"]]) for name, value in told.items() if "bins" in value
        ],
        "samples": _affordable(media.get("samples", [])),
    }


def _affordable(samples: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Pictures that do not make the page heavy, of the classes in turn, in their order."""
    seen: Counter[str] = Counter()
    turns = []
    for place, sample in enumerate(samples[:PICTURES]):
        turns.append((seen[sample["label"]], place))
        seen[sample["label"]] += 1
    order = [place for _, place in sorted(turns)]
    sizes = accumulate(len(samples[place]["picture"]) for place in order)
    return [
        samples[place]
        for place in sorted(p for p, size in zip(order, sizes, strict=True) if size <= PICTURE_CHARACTERS)
    ]
