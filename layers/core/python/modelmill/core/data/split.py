"""How many rows of a class go where: a count and the recipe's shares in, counts of train, validation and test out."""

from modelmill.core.limits import MIN_ROWS_PER_CLASS
from modelmill.core.model.recipe import Split

SPLITS = ("train", "validation", "test")
FOLD = "__fold__"
"""Column of the fold of a row (int32; -1 in the test), where the recipe asks for folds."""


def file_of(split: str, index: int = 0, buckets: int = 1) -> str:
    """The file of the rows of a split; large versions have several, each with the rows of one range of digests."""
    return f"{split}.parquet" if buckets == 1 else f"{split}-{index:05}-of-{buckets:05}.parquet"


def files_of(split: str, files: int) -> list[str]:
    """All files of a split of a version that has `files` of each, in the order of their rows."""
    return [file_of(split, index, files) for index in range(files)]


def split_sizes(rows: int, split: Split) -> tuple[int, int, int]:
    """Rows of one class for (train, validation, test), each at least one.

    Raises ValueError below MIN_ROWS_PER_CLASS rows: such a class is quarantined before.
    """
    if rows < MIN_ROWS_PER_CLASS:
        raise ValueError(f"a class of {rows} rows cannot reach three splits")
    validation = min(max(1, round(rows * split.validation)), rows - 2)
    test = min(max(1, round(rows * split.test)), rows - validation - 1)
    return rows - validation - test, validation, test
