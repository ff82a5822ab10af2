"""Which values are missing together: columns of a sample in; JSON values, which the page draws, out."""

from typing import Any

import numpy as np
import pyarrow as pa

COLUMNS = 25
PATTERNS = 8


def missing_together(sample: pa.Table) -> dict[str, Any]:
    """The columns with most missing values, and how many rows miss which of them; the most frequent patterns first.

    A pattern is a list of places in `names`; rows that miss nothing have the empty one.
    """
    counts = {name: sample.column(name).null_count for name in sample.column_names}
    chosen = {name for name, count in sorted(counts.items(), key=lambda item: -item[1])[:COLUMNS] if count}
    names = [name for name in sample.column_names if name in chosen]
    if not names:
        return {"names": [], "rows": sample.num_rows, "counts": [], "patterns": [], "others": 0}
    grid = np.stack([sample.column(name).is_null().to_numpy() for name in names], axis=1)
    patterns, found = np.unique(grid, axis=0, return_counts=True)
    order = np.lexsort((patterns.sum(axis=1), -found))
    shown = order[:PATTERNS]
    return {
        "names": names,
        "rows": sample.num_rows,
        "counts": [counts[name] for name in names],
        "patterns": [
            {"missing": np.flatnonzero(patterns[place]).tolist(), "count": int(found[place])} for place in shown
        ],
        "others": int(found[order[PATTERNS:]].sum()),
    }
