"""What an evaluation knows beside answers and truth: the test rows' columns, how the candidate did before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from modelmill.core.data.split import files_of
from modelmill.core.model.select import CandidateResult
from modelmill.core.model.spec import ColumnKind, RunSpec
from modelmill.training.rows import Cells

_SLICED: tuple[ColumnKind, ...] = ("number", "category", "boolean", "text")
_MOST_COLUMNS = 10


@dataclass(frozen=True, slots=True)
class Evidence:
    """`columns` are those to slice the test rows by, `scale` is the factor on logits that calibrated the model,
    `selection` is what the candidate was chosen by."""  # noqa: D205, D209

    columns: Mapping[str, Sequence[object]] = field(default_factory=dict)
    scale: float = 1.0
    selection: CandidateResult | None = None


def sliced(spec: RunSpec) -> list[str]:
    """The columns to slice by: those of the recipe, else the first inputs that have values to tell rows apart by."""
    named = spec.recipe.evaluation.slices
    return named or [column.name for column in spec.inputs if column.kind in _SLICED][:_MOST_COLUMNS]


def columns_of(folder: Path, split: str, spec: RunSpec, names: Sequence[str]) -> dict[str, Cells]:
    """Those of the columns of a split that the version has, in the order of its rows."""
    files = [folder / file for file in files_of(split, spec.files)]
    found = set(pq.read_schema(files[0]).names)
    kept = [name for name in dict.fromkeys(names) if name in found]
    if not kept:
        return {}
    table = pa.concat_tables([pq.read_table(file, columns=kept) for file in files])
    return {name: Cells(table.column(name)) for name in kept}
