"""The accounts of a file: read = used + quarantined, always, and why a row is not used."""

from typing import Literal, get_args

from modelmill.core.data.version import Rows
from modelmill.core.errors import Rejected

Reason = Literal[
    "ragged_row",
    "bad_json",
    "missing_file",
    "bad_media",
    "missing_target",
    "no_usable_input",
    "cell_too_long",
    "duplicate",
    "rare_class",
]
REASONS: tuple[Reason, ...] = get_args(Reason)
"""In the order in which they are tried: a row has the first that fits."""


class UnusableData(Rejected):
    """A rejection of a file whose rows were counted: none is used, so all of them are quarantined."""

    def __init__(self, cause: Rejected, read: int) -> None:
        super().__init__(cause.code, cause.message, limit=cause.limit, hint=cause.hint)
        self.rows = accounts(read, read)


def accounts(read: int, quarantined: int) -> Rows:
    """Rows that add up. Raises ValueError if more rows were quarantined than read, which is a fault of ours."""
    if not 0 <= quarantined <= read:
        raise ValueError(f"{quarantined} of {read} rows quarantined")
    return Rows(read=read, used=read - quarantined, quarantined=quarantined)
