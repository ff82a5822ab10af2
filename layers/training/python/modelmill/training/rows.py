"""A dataset version in (parquet files in a folder or in S3), rows in memory out: raw columns and class indices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from modelmill.aws import objects
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


def fetch(bucket: str, spec: RunSpec, folder: Path, files: Sequence[str]) -> None:
    """Download those `files` of the dataset version that are not in `folder` already."""
    for file in files:
        if not (folder / file).exists():
            objects.download(bucket, spec.data_prefix + file, folder / file)


def read(folder: Path, split: str, spec: RunSpec) -> Rows:
    """One split of the dataset version; raises Rejected (`no_rows`, `bad_labels`) for unusable rows."""
    names = [column.name for column in spec.inputs]
    table = pq.read_table(folder / f"{split}.parquet", columns=[*names, spec.target])
    if table.num_rows == 0:
        raise Rejected("no_rows", f"the {split} split has no rows", hint="upload more rows")
    index = {label: number for number, label in enumerate(spec.labels)}
    labels = np.array([index.get(str(label), -1) for label in table.column(spec.target).to_pylist()], dtype=np.int64)
    if (labels < 0).any():
        raise Rejected("bad_labels", f"the {split} split holds classes that the run does not know")
    return Rows({name: table.column(name).to_pylist() for name in names}, labels)
