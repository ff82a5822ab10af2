"""What the peers of the data phase share: the same rules of masking, and what their user knows of the table.

Their user has looked at the file and says by hand what the data phase finds out: which columns may hold personal
data, which one is money, which one is the target.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "layers" / "core" / "python"))
from modelmill.core.data.mask import Pseudonyms
from modelmill.core.data.mask_rules import CANDIDATE

PERSONAL = ("contact", "notes")
MONEY, DATE, TARGET = "price", "signed_up", "tier"
MISSING = ["", "NA", "N/A", "null", "NULL", "?", "-"]
CURRENCY = "[$€¥,]"
TRAIN, VALIDATION = 0.7, 0.15
SEED = 1
PREFILTER = CANDIDATE
_PSEUDONYMS = Pseudonyms(b"a key of benchmarks, of 32 bytes")


def masked(text: str) -> str:
    """The text with pseudonyms."""
    return _PSEUDONYMS.mask(text)[0]


def arguments() -> tuple[str, Path]:
    """The file to read and the folder to write to."""
    return sys.argv[1], Path(sys.argv[2])
