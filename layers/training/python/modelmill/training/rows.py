"""A dataset version in (parquet files in a folder or in S3), rows in memory out: raw columns and class indices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from modelmill.aws import objects
from modelmill.core.data.split import files_of
from modelmill.core.errors import Rejected
from modelmill.core.model.spec import RunSpec

PROFILE = "profile.bin"


@dataclass(frozen=True, slots=True)
class Rows:
    """One split: input columns by name (raw cells) and `labels` int64 [rows], indices into the run's class names."""

    columns: dict[str, Sequence[object]]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.labels)

    def part(self, start: int, stop: int) -> dict[str, Sequence[object]]:
        """The raw columns of the rows from `start` to `stop`."""
        return {name: cells[start:stop] for name, cells in self.columns.items()}


def fetch(bucket: str, spec: RunSpec, folder: Path, splits: Sequence[str], others: Sequence[str] = ()) -> None:
    """Download the files of the `splits` and the `others` of the dataset version that are not in `folder` already."""
    for file in [*(file for split in splits for file in files_of(split, spec.files)), *others]:
        if not (folder / file).exists():
            objects.download(bucket, spec.data_prefix + file, folder / file)


def read(folder: Path, split: str, spec: RunSpec) -> Rows:
    """One split of the dataset version; raises Rejected (`no_rows`, `bad_labels`) for unusable rows."""
    columns: dict[str, list[object]] = {column.name: [] for column in spec.inputs}
    index = {label: number for number, label in enumerate(spec.labels)}
    labels: list[int] = []
    for file in files_of(split, spec.files):  # one after the other: the Arrow table of one file at a time
        table = pq.read_table(folder / file, columns=[*columns, spec.target])
        for name, cells in columns.items():
            cells.extend(table.column(name).to_pylist())
        labels.extend(index.get(str(label), -1) for label in table.column(spec.target).to_pylist())
    if not labels:
        raise Rejected("no_rows", f"the {split} split has no rows", hint="upload more rows")
    if min(labels) < 0:
        raise Rejected("bad_labels", f"the {split} split holds classes that the run does not know")
    return Rows({**columns}, np.array(labels, dtype=np.int64))
