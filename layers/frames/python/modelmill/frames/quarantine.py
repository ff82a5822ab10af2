"""Which rows are used: typed rows in, a reason per row that is not used, and what people should know, out."""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.accounts import REASONS, Reason
from modelmill.core.data.version import DataWarning
from modelmill.core.limits import CELL_CHARACTERS, MIN_ROWS_PER_CLASS

Integers = np.ndarray[Any, np.dtype[np.int64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]
USED = 0
_CODE: dict[Reason, int] = {reason: code for code, reason in enumerate(REASONS, start=1)}
_MIN_ROWS_FOR_RANGES = 100
_MANY_UNLABELLED = 0.05
_REPEATED = 0.2
"""Above this share repeated rows are not accidents but what such data are: few columns of few values."""


def reason_of(code: int) -> Reason:
    """The reason that a code other than USED stands for."""
    return REASONS[code - 1]


def row_digests(inputs: pa.Table, seed: int) -> list[bytes]:
    """16 bytes per row that depend on the row's inputs and the seed alone: equal inputs, equal digest."""
    parts = []
    for column in inputs.columns:
        strings = column if pa.types.is_large_string(column.type) else pc.cast(column, pa.large_string())
        # The length in front of each value keeps ("ab", "c") and ("a", "bc") apart; a null has none.
        parts += [pc.cast(pc.binary_length(strings), pa.large_string()), strings]
    options = {"null_handling": "replace", "null_replacement": ""}
    key = seed.to_bytes(8, "little")
    joined = pc.binary_join_element_wise(*parts, pa.scalar("\x1f", pa.large_string()), **options)
    return [
        blake2b(text.encode(), digest_size=16, key=key).digest()
        for chunk in joined.chunks
        for text in chunk.to_pylist()
    ]


def judge(
    inputs: pa.Table,
    labels: pa.ChunkedArray,
    digests: Sequence[bytes],
    identities: Sequence[bytes],
    *,
    keep_repeated: bool,
) -> tuple[Integers, list[DataWarning]]:
    """A code per row: USED or the first reason that fits.

    `digests` are those of the inputs; rows of one class with the same identity are duplicates. `keep_repeated` spares
    tables where many rows repeat.
    """
    codes = np.zeros(len(labels), np.int64)

    def mark(reason: Reason, mask: Booleans) -> None:
        codes[(codes == USED) & mask] = _CODE[reason]

    mark("missing_target", _numpy(pc.is_null(labels)))
    unlabelled = labels.null_count
    empty = np.ones(len(labels), np.bool_)
    too_long = np.zeros(len(labels), np.bool_)
    for column in inputs.columns:
        empty &= _numpy(pc.is_null(column))
        if pa.types.is_large_string(column.type):
            too_long |= _numpy(pc.fill_null(pc.greater(pc.utf8_length(column), CELL_CHARACTERS), fill_value=False))
    mark("no_usable_input", empty)
    mark("cell_too_long", too_long)
    names = labels.to_pylist()
    repeated = _repeats(codes, identities, names)
    conflicts = _conflicts(codes, digests, names)
    warnings = []
    if unlabelled > _MANY_UNLABELLED * len(codes):
        text = f"{unlabelled:,} of {len(codes):,} rows have no target (empty, or NA, null, ? and their like); left out"
        warnings.append(DataWarning(code="unlabelled_rows", message=text))
    if keep_repeated and repeated.sum() > _REPEATED * len(codes):
        text = f"{repeated.sum():,} rows repeat another row; there are too many to be accidents, so they are used"
        warnings.append(DataWarning(code="repeated_rows_kept", message=text))
    else:
        mark("duplicate", repeated)
    if conflicts:
        text = f"{conflicts:,} rows have the same inputs as an earlier row but another class"
        warnings.append(DataWarning(code="label_conflicts", message=text))
    counts = Counter(name for name, code in zip(names, codes.tolist(), strict=True) if code == USED)
    rare = {name for name, count in counts.items() if count < MIN_ROWS_PER_CLASS}
    if rare:
        mark("rare_class", np.fromiter((name in rare for name in names), np.bool_, len(names)))
    return codes, warnings


def _repeats(codes: Integers, identities: Sequence[bytes], names: Sequence[str | None]) -> Booleans:
    """Which usable rows have the identity and the class of an earlier one."""
    seen: set[tuple[bytes, str | None]] = set()
    repeated = np.zeros(len(codes), np.bool_)
    for index in np.flatnonzero(codes == USED).tolist():
        pair = identities[index], names[index]
        repeated[index] = pair in seen
        seen.add(pair)
    return repeated


def _conflicts(codes: Integers, digests: Sequence[bytes], names: Sequence[str | None]) -> int:
    """How many usable rows have the inputs of an earlier one and another class."""
    first: dict[bytes, str | None] = {}
    usable = np.flatnonzero(codes == USED).tolist()
    return sum(first.setdefault(digests[index], names[index]) != names[index] for index in usable)


def _numpy(column: pa.ChunkedArray) -> Booleans:
    array: Booleans = column.to_numpy()
    return array


def find_leaks(inputs: pa.Table, labels: pa.ChunkedArray) -> list[DataWarning]:
    """Inputs that give the class away: each value, coming back often, or each range of numbers goes with one only."""
    leaks = []
    table = inputs.append_column("\x00label", labels)
    for name in inputs.column_names:
        known = table.select([name, "\x00label"]).drop_null()
        if pa.types.is_floating(known.schema.field(0).type) and _ranges_are_apart(known):
            leaks.append(name)
            continue
        values = pc.count_distinct(known.column(0)).as_py()
        if not 2 <= values <= max(2, known.num_rows // 10) or 2 * known.num_rows < table.num_rows:
            continue
        if known.group_by([name, "\x00label"]).aggregate([]).num_rows == values:
            leaks.append(name)
    if not leaks:
        return []
    why = "each value, or range of values, goes with one class only; is it known before the target is?"
    return [DataWarning(code="leak_suspected", message=f"{why} {', '.join(leaks)}")]


def _ranges_are_apart(table: pa.Table) -> bool:
    """True if the numbers (first column) of no class (second column) lie between those of another."""
    if table.num_rows < _MIN_ROWS_FOR_RANGES:
        return False
    number, label = table.column_names
    ranges = table.group_by(label).aggregate([(number, "min"), (number, "max")]).sort_by(f"{number}_min")
    lows, highs = ranges.column(f"{number}_min").to_pylist(), ranges.column(f"{number}_max").to_pylist()
    return len(lows) > 1 and all(high < low for high, low in zip(highs, lows[1:], strict=False))
