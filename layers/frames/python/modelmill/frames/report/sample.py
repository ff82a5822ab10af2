"""Which rows the report looks at: all used rows in, so few of them out that the report's cost is bounded."""

import numpy as np
import pyarrow as pa

from modelmill.core.limits import MIB
from modelmill.frames.report.association import Integers

ROWS = 50_000
BYTES = 64 * MIB
_FEWEST = 100


def sample(table: pa.Table, used: Integers) -> pa.Table:
    """At most ROWS of the used rows of a table (fewer where rows are large), evenly spaced, in their order."""
    row_bytes = max(1.0, table.nbytes / max(1, table.num_rows))
    limit = min(ROWS, max(_FEWEST, int(BYTES / row_bytes)))
    chosen = used if len(used) <= limit else used[np.linspace(0, len(used) - 1, limit).astype(np.int64)]
    return table.take(pa.array(chosen)).combine_chunks()
