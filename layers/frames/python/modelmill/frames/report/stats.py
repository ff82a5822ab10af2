"""Statistics for people: a sample of the used rows and the plan in; JSON values out, which the page draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.columns import NOTHING, Facts
from modelmill.core.data.plan import Plan
from modelmill.core.model.spec import ColumnKind
from modelmill.core.model.task import answers_of
from modelmill.frames.clean import class_names
from modelmill.frames.numbers import parse_numbers
from modelmill.frames.report.association import (
    Integers,
    Numbers,
    associations,
    code_measure,
    code_numbers,
    code_strings,
    correlations,
    explained,
)
from modelmill.frames.report.missing import missing_together
from modelmill.frames.understand import parse_dates

TOP_VALUES = 8
REPEATED_VALUES = 3
VALUE_CHARACTERS = 200
PICTURED_COLUMNS = 25
"""At most so many columns are in a picture of pairs."""
_PAIRED_ROWS = 5_000
_RANKS = (0.01, 0.25, 0.5, 0.75, 0.99)
_BINS = 24
_WHOLE_BINS = 40


@dataclass(frozen=True, slots=True)
class Sampled:
    """One column of the sample: `numbers` are its values, a text's lengths or a date's seconds; None for words."""

    name: str
    kind: ColumnKind
    use: str
    strings: pa.Array
    numbers: Numbers | None

    @classmethod
    def of(cls, name: str, kind: ColumnKind, use: str, strings: pa.Array, facts: Facts) -> "Sampled":
        """A column whose keys, if they are numbers, count as numbers."""
        found = None
        if kind == "text":
            found = pc.cast(pc.utf8_length(strings), pa.float64())
        elif kind == "date" and facts.date is not None:
            found = parse_dates(strings, facts.date)
        elif kind in ("number", "identifier"):
            found = parse_numbers(strings)
            # A few words among numbers are missing values; many of them say that these are not numbers.
            if kind == "identifier" and found.null_count > strings.null_count:
                found = None
        numbers = None if found is None else pc.fill_null(found, np.nan).to_numpy(zero_copy_only=False)
        return cls(name, kind, use, strings, numbers)

    @property
    def codes(self) -> Integers:
        """A bin for each value."""
        return code_strings(self.strings) if self.numbers is None else code_numbers(self.numbers)


def statistics(
    sample: pa.Table,
    plan: Plan,
    splits: Mapping[str, int],
    classes: Mapping[str, Mapping[str, int]] | None = None,
    facts: Mapping[str, Facts] | None = None,
) -> dict[str, Any]:
    """Rows and classes (exact), and of the sample: each column's chart, its say on the target, pairs, what is missing.

    `sample` has every column of the plan as clean strings; `splits` are split → rows, `classes` split → class →
    rows (None for a measure and for tags).
    """
    columns = _columns(sample, plan, facts or {})
    target = _target(sample.column(plan.target), measure=answers_of(plan.task) == "regression")
    shares = {
        column.name: explained(column.codes, target)
        for column in columns
        if column.use != "target" and column.kind not in ("constant", "image", "audio")
    }
    ranked = sorted(shares, key=lambda name: -round(shares[name], 4))
    return {
        "rows": sum(splits.values()),
        "sampled": sample.num_rows,
        "classes": None if classes is None else _classes(classes),
        "columns": [{"name": c.name, "kind": c.kind, "use": c.use, **_chart(c)} for c in columns],
        "associations": [{"name": name, "share": round(shares[name], 4)} for name in ranked],
        "correlations": _correlated(columns, ranked),
        "pairs": _paired(columns, ranked),
        "missing": missing_together(sample),
    }


def _columns(sample: pa.Table, plan: Plan, facts: Mapping[str, Facts]) -> list[Sampled]:
    read = {column.name: column.kind for column in plan.inputs}
    columns = []
    for column in plan.columns:
        use = "target" if column.name == plan.target else "input" if column.name in read else "left out"
        strings = sample.column(column.name).combine_chunks()
        # What is read as a category may have been understood as more: yes and no.
        kind = column.kind if read.get(column.name) in (None, "category") else read[column.name]
        columns.append(Sampled.of(column.name, kind, use, strings, facts.get(column.name, NOTHING)))
    return columns


def _target(strings: pa.ChunkedArray, *, measure: bool) -> Integers:
    """The class of each row, or the bin of its measure."""
    if measure:
        numbers = pc.fill_null(parse_numbers(strings.combine_chunks()), np.nan)
        return code_measure(numbers.to_numpy(zero_copy_only=False))
    names = class_names(strings).combine_chunks()
    places: Integers = pc.index_in(names, value_set=pc.unique(names)).to_numpy(zero_copy_only=False).astype(np.int64)
    return places


def _classes(classes: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """Classes with their rows in all and in each split, the largest first."""
    names = sorted({name for counts in classes.values() for name in counts})
    found = [
        {
            "value": name[:VALUE_CHARACTERS],
            "count": sum(counts.get(name, 0) for counts in classes.values()),
            "splits": {split: counts.get(name, 0) for split, counts in classes.items()},
        }
        for name in names
    ]
    return sorted(found, key=lambda entry: -entry["count"])


def _counted(strings: pa.Array | pa.ChunkedArray) -> list[dict[str, Any]]:
    """Distinct values with their counts, most frequent first, ties by value; values are cut."""
    counted = pc.value_counts(strings.drop_null())
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    ranked = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
    return [{"value": value[:VALUE_CHARACTERS], "count": count} for value, count in ranked]


def _chart(column: Sampled) -> dict[str, Any]:
    if column.kind == "number" and column.numbers is not None:
        return {"histogram": histogram(column.numbers)}
    if column.kind == "date" and column.numbers is not None:
        return {"dates": histogram(column.numbers)}
    if column.kind == "text" and column.numbers is not None:
        repeated = [entry for entry in _counted(column.strings)[:REPEATED_VALUES] if entry["count"] > 1]
        return {"lengths": histogram(column.numbers), "repeated": repeated}
    if column.kind in ("identifier", "image", "audio"):
        return {}
    counted = _counted(column.strings)
    rest = counted[TOP_VALUES:]
    other = {"distinct": len(rest), "count": sum(entry["count"] for entry in rest)}
    return {"top": counted[:TOP_VALUES], "other": other}


def histogram(numbers: Numbers) -> dict[str, Any] | None:
    """Edges (one more than bars), counts and quartiles of numbers, NaN left out.

    Bars are drawn of the numbers `from` … `to`; `below` and `above` count what is cut off.
    """
    values = numbers[~np.isnan(numbers)]
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    least, *quartiles, most = np.quantile(values, _RANKS, method="nearest").tolist()
    # A tail of 1 % that is longer than all the rest would leave the rest a few bars: it is cut off.
    body = most - least
    low, high = (least if 0 < body < least - low else low), (most if 0 < body < high - most else high)
    edges = _edges(low, high, whole=bool((values == np.floor(values)).all()))
    counts, _ = np.histogram(values, edges)
    below, above = int((values < edges[0]).sum()), int((values > edges[-1]).sum())
    return {
        "from": low,
        "to": high,
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "below": below,
        "above": above,
        "quartiles": quartiles,
    }


def _edges(low: float, high: float, *, whole: bool) -> Numbers:
    """Edges of bars; those of whole numbers lie between them, so that each bar has equally many."""
    if whole:
        width = 1 if high - low < _WHOLE_BINS else -(-(high - low + 1) // _BINS)
        edges = low - 0.5 + width * np.arange(-(-(high - low + 1) // width) + 1)
    else:
        edges = np.linspace(low, high, _BINS + 1)
    # Numbers so large or so close that floats cannot tell the edges apart are one bar.
    return edges if bool((np.diff(edges) > 0).all()) else np.array([low, np.nextafter(high, np.inf)])


def _correlated(columns: list[Sampled], ranked: list[str]) -> dict[str, Any]:
    """Correlations of the number columns and a measured target, at most those that say most about the target."""
    numbers = {c.name: c.numbers for c in columns if c.kind == "number" and c.numbers is not None}
    kept = _kept([c for c in columns if c.name in numbers], ranked)
    names = [name for name in numbers if name in kept]
    return {"names": names, "matrix": correlations([numbers[name] for name in names])}


def _paired(columns: list[Sampled], ranked: list[str]) -> dict[str, Any]:
    """How far columns of any kind go together; nothing where all are numbers, whose correlations say it better."""
    drawn = [c for c in columns if c.kind in ("number", "category", "boolean", "date")]
    if not any(c.kind != "number" for c in drawn if c.use != "target"):
        return {"names": [], "matrix": []}
    kept = _kept(drawn, ranked)
    shown = [c for c in drawn if c.name in kept]
    return {"names": [c.name for c in shown], "matrix": associations([c.codes[:_PAIRED_ROWS] for c in shown])}


def _kept(columns: list[Sampled], ranked: list[str]) -> set[str]:
    names = {column.name for column in columns}
    target = [column.name for column in columns if column.use == "target"]
    return set([*target, *(name for name in ranked if name in names)][:PICTURED_COLUMNS])
