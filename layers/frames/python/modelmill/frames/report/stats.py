"""Statistics for people: a sample of the used rows and the plan in; JSON values out, which the page draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.plan import Plan
from modelmill.core.model.spec import ColumnKind
from modelmill.frames.clean import class_names, parse_numbers
from modelmill.frames.report.association import (
    Numbers,
    code_numbers,
    code_strings,
    correlations,
    explained,
)

TOP_VALUES = 8
REPEATED_VALUES = 3
VALUE_CHARACTERS = 200
CORRELATED_COLUMNS = 20
_RANKS = (0.01, 0.25, 0.5, 0.75, 0.99)
_BINS = 24
_WHOLE_BINS = 40


@dataclass(frozen=True, slots=True)
class Sampled:
    """One column of the sample: `numbers` are its values, or a text's lengths in characters; None for words."""

    name: str
    kind: ColumnKind
    use: str
    strings: pa.Array
    numbers: Numbers | None

    @classmethod
    def of(cls, name: str, kind: ColumnKind, use: str, strings: pa.Array) -> "Sampled":
        """A column whose keys, if they are numbers, count as numbers."""
        found = None
        if kind == "text":
            found = pc.cast(pc.utf8_length(strings), pa.float64())
        elif kind in ("number", "identifier"):
            found = parse_numbers(strings)
            # A few words among numbers are missing values; many of them say that these are not numbers.
            if kind == "identifier" and found.null_count > strings.null_count:
                found = None
        numbers = None if found is None else pc.fill_null(found, np.nan).to_numpy(zero_copy_only=False)
        return cls(name, kind, use, strings, numbers)


def statistics(sample: pa.Table, plan: Plan, splits: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Classes (exact), and of the sample: each column's chart, its say on the target, correlations."""
    columns = _columns(sample, plan)
    names = class_names(sample.column(plan.target)).combine_chunks()
    classes = pc.index_in(names, value_set=pc.unique(names)).to_numpy(zero_copy_only=False).astype(np.int64)
    shares = {
        column.name: explained(_codes(column), classes)
        for column in columns
        if column.use != "target" and column.kind != "constant"
    }
    ranked = sorted(shares, key=lambda name: -round(shares[name], 4))
    return {
        "rows": sum(table.num_rows for table in splits.values()),
        "sampled": sample.num_rows,
        "classes": _classes(splits, plan.target),
        "columns": [{"name": c.name, "kind": c.kind, "use": c.use, **_chart(c)} for c in columns],
        "associations": [{"name": name, "share": round(shares[name], 4)} for name in ranked],
        "correlations": _correlated(columns, ranked),
    }


def _columns(sample: pa.Table, plan: Plan) -> list[Sampled]:
    read = {column.name: column.kind for column in plan.inputs}
    columns = []
    for column in plan.columns:
        use = "target" if column.name == plan.target else "input" if column.name in read else "left out"
        strings = sample.column(column.name).combine_chunks()
        columns.append(Sampled.of(column.name, read.get(column.name, column.kind), use, strings))
    return columns


def _classes(splits: Mapping[str, pa.Table], target: str) -> list[dict[str, Any]]:
    """Classes with their rows, the largest first."""
    return _counted(pa.concat_tables([table.select([target]) for table in splits.values()]).column(target))


def _codes(column: Sampled) -> Any:
    return code_strings(column.strings) if column.numbers is None else code_numbers(column.numbers)


def _counted(strings: pa.Array | pa.ChunkedArray) -> list[dict[str, Any]]:
    """Distinct values with their counts, most frequent first, ties by value; values are cut."""
    counted = pc.value_counts(strings.drop_null())
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    ranked = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
    return [{"value": value[:VALUE_CHARACTERS], "count": count} for value, count in ranked]


def _chart(column: Sampled) -> dict[str, Any]:
    if column.kind == "number" and column.numbers is not None:
        return {"histogram": histogram(column.numbers)}
    if column.kind == "text" and column.numbers is not None:
        repeated = [entry for entry in _counted(column.strings)[:REPEATED_VALUES] if entry["count"] > 1]
        return {"lengths": histogram(column.numbers), "repeated": repeated}
    if column.kind == "identifier":
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
    """Correlations of the number columns, at most the CORRELATED_COLUMNS that say most about the target."""
    numbers = {c.name: c.numbers for c in columns if c.kind == "number" and c.numbers is not None}
    kept = set([name for name in ranked if name in numbers][:CORRELATED_COLUMNS])
    names = [name for name in numbers if name in kept]
    return {"names": names, "matrix": correlations([numbers[name] for name in names])}
