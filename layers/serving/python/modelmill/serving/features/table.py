"""Numbers and categories in, arrays out. Imputation, scaling and bins are in the ONNX graph."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelmill.serving.features.cells import Arrays, Columns, Reader, category_of, number_of, row_count


class TabularFeatures:
    """Numbers as they are and categories as indices into the values seen in training."""

    def __init__(self, preprocess: Mapping[str, Any]) -> None:
        self._numbers: tuple[str, ...] = tuple(preprocess["numbers"])
        self._categories = {
            column["name"]: {value: index + 1 for index, value in enumerate(column["values"])}
            for column in preprocess["categories"]
        }
        self._read = Reader(preprocess).read
        self.field_names: tuple[str, ...] = (*self._numbers, *self._categories)

    def category(self, value: object, name: str) -> str:
        """A cell of a column as the name of its category; personal data is one category for each kind."""
        return category_of(self._read(value, name), name)

    def arrays(self, columns: Columns) -> Arrays:
        """`numbers` float32 [B, N], NaN where missing; `categories` int64 [B, C], 0 where missing or never seen."""
        rows = row_count(columns)
        numbers = np.full((rows, len(self._numbers)), np.nan, dtype=np.float32)
        for index, name in enumerate(self._numbers):
            if name in columns:
                numbers[:, index] = [number_of(value, name) for value in columns[name]]
        categories = np.zeros((rows, len(self._categories)), dtype=np.int64)
        for index, (name, known) in enumerate(self._categories.items()):
            if name in columns:
                categories[:, index] = [known.get(self.category(value, name), 0) for value in columns[name]]
        return {"numbers": numbers, "categories": categories}
