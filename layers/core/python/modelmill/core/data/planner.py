"""Which engine prepares an upload: its size, whether it can be read in pieces and the recipe's wish in, the engine out.

The size of the data decides, never the machine, so that the same upload takes the same way everywhere. The result does
not depend on the way: what is chosen here is time and money.
"""

from typing import Literal

from modelmill.core.errors import Rejected
from modelmill.core.limits import FETCH_BYTES, GIB, LAMBDA_DATA_BYTES, MAP_DATA_BYTES
from modelmill.core.model.recipe import Prepare

Way = Literal["lambda", "map", "spark"]
_MOST: dict[Way, int] = {"lambda": FETCH_BYTES, "map": MAP_DATA_BYTES}


def choose(size: int, prepare: Prepare, *, pieces: bool = True) -> Way:
    """The engine for `size` bytes of unpacked data.

    `pieces`: it can be read in pieces where it lies. Raises Rejected (`file_too_large`) if the engine that the recipe
    names cannot do it, or if there is too much of what can only be read as a whole.
    """
    if not pieces and size > FETCH_BYTES:
        raise Rejected(
            "file_too_large",
            f"a packed file of {size / GIB:,.1f} GiB can only be read as a whole",
            limit=FETCH_BYTES,
            hint="upload it unpacked, as CSV, JSON Lines or Parquet, or as several files",
        )
    if prepare.engine == "auto":
        return "lambda" if size <= LAMBDA_DATA_BYTES else "map" if size <= MAP_DATA_BYTES else "spark"
    most = _MOST.get(prepare.engine)
    if most is not None and size > most:
        raise Rejected(
            "file_too_large",
            f"{size / GIB:,.1f} GiB are too much for prepare.engine: {prepare.engine}",
            limit=most,
            hint="leave prepare.engine out of the recipe, or name spark",
        )
    return prepare.engine
