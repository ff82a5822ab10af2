"""The splits of a version, and the names of their files."""

SPLITS = ("train", "validation", "test")
FOLD = "__fold__"
"""Column of the fold of a row (int32; -1 in the test), where the recipe asks for folds."""


def file_of(split: str, index: int = 0, buckets: int = 1) -> str:
    """The file of the rows of a split; large versions have several, each with the rows of one range of digests."""
    return f"{split}.parquet" if buckets == 1 else f"{split}-{index:05}-of-{buckets:05}.parquet"


def files_of(split: str, files: int) -> list[str]:
    """All files of a split of a version that has `files` of each, in the order of their rows."""
    return [file_of(split, index, files) for index in range(files)]
