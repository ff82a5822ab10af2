"""A dataset version in (parquet files in a folder or in S3), rows out: raw columns and targets.

Columns stay in Arrow and become Python values slice by slice, so that many rows cost little more than their bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from modelmill.aws import objects
from modelmill.core.data.split import FOLD, files_of
from modelmill.core.errors import Rejected
from modelmill.core.model.spec import RunSpec
from modelmill.core.model.task import TAG_SEPARATOR, answers_of

PROFILE = "profile.bin"
_SLICE = 1_024


class Cells(Sequence[object]):
    """A column as a sequence of Python values, read from Arrow when they are asked for."""

    def __init__(self, values: pa.ChunkedArray) -> None:
        self.values = values

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.values)

    @overload
    def __getitem__(self, place: int) -> object: ...
    @overload
    def __getitem__(self, place: slice) -> list[object]: ...
    def __getitem__(self, place: int | slice) -> object | list[object]:
        """One cell, or a list of them (a step of 1)."""
        if isinstance(place, slice):
            start, stop, _ = place.indices(len(self))
            found: list[object] = self.values.slice(start, max(stop - start, 0)).to_pylist()
            return found
        cell: object = self.values[place].as_py()
        return cell

    def __iter__(self) -> Iterator[object]:
        """All cells."""
        for start in range(0, len(self), _SLICE):
            yield from self[start : start + _SLICE]


@dataclass(frozen=True, slots=True)
class Rows:
    """Input columns by name (raw cells) and `target`: int64 [rows] of class indices, float32 [rows, K] of tags (0 or
    1), or float64 [rows] of a measure. `folds` int64 [rows], where the data have them."""  # noqa: D205, D209

    columns: Mapping[str, Cells]
    target: NDArray[Any]
    folds: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.target)

    def part(self, start: int, stop: int) -> dict[str, Sequence[object]]:
        """The raw columns of the rows from `start` to `stop`."""
        return {name: cells[start:stop] for name, cells in self.columns.items()}

    def take(self, places: NDArray[np.int64]) -> "Rows":
        """Those rows, in that order."""
        index = pa.array(places)
        columns = {name: Cells(cells.values.take(index)) for name, cells in self.columns.items()}
        return Rows(columns, self.target[places], None if self.folds is None else self.folds[places])

    def __add__(self, other: "Rows") -> "Rows":
        """These rows, then the others."""
        # A column that is missing in every row of one of both has no type of its own there.
        both = [pa.table({name: cells.values for name, cells in rows.columns.items()}) for rows in (self, other)]
        joined = pa.concat_tables(both, promote_options="permissive")
        columns = {name: Cells(joined.column(name)) for name in self.columns}
        folds = None
        if self.folds is not None and other.folds is not None:
            folds = np.concatenate([self.folds, other.folds])
        return Rows(columns, np.concatenate([self.target, other.target]), folds)


def fetch(bucket: str, spec: RunSpec, folder: Path, splits: Sequence[str], others: Sequence[str] = ()) -> None:
    """Download the files of the `splits` and the `others` of the dataset version that are not in `folder` already."""
    for file in [*(file for split in splits for file in files_of(split, spec.files)), *others]:
        if not (folder / file).exists():
            objects.download(bucket, spec.data_prefix + file, folder / file)


def read(folder: Path, split: str, spec: RunSpec) -> Rows:
    """One split of the dataset version; raises Rejected (`no_rows`, `bad_labels`) for unusable rows."""
    tables = []
    for file in files_of(split, spec.files):
        names = pq.read_schema(folder / file).names
        kept = [name for name in (*(column.name for column in spec.inputs), spec.target, FOLD) if name in names]
        tables.append(pq.read_table(folder / file, columns=list(dict.fromkeys(kept))))
    table = pa.concat_tables(tables)
    if not table.num_rows:
        raise Rejected("no_rows", f"the {split} split has no rows", hint="upload more rows")
    folds = table.column(FOLD).to_numpy().astype(np.int64) if FOLD in table.column_names else None
    columns = {column.name: Cells(table.column(column.name)) for column in spec.inputs}
    return Rows(columns, _target(table.column(spec.target), split, spec), folds)


def _target(cells: pa.ChunkedArray, split: str, spec: RunSpec) -> NDArray[Any]:
    answers = answers_of(spec.task)
    if answers == "regression":
        return np.asarray(cells.to_numpy(), dtype=np.float64)
    index = {label: number for number, label in enumerate(spec.labels)}
    if answers == "multilabel":
        tags = np.zeros((len(cells), len(index)), dtype=np.float32)
        for row, joined in enumerate(cells.to_pylist()):
            for tag in str(joined or "").split(TAG_SEPARATOR):
                if tag in index:  # rarer tags are not learnt
                    tags[row, index[tag]] = 1
        return tags
    labels = np.array([index.get(str(label), -1) for label in cells.to_pylist()], dtype=np.int64)
    if labels.min() < 0:
        raise _unknown(split)
    return labels


def _unknown(split: str) -> Rejected:
    return Rejected("bad_labels", f"the {split} split holds classes that the run does not know")
