"""Leak checks: what makes a test look better than the model is.

`check_leaks` is the way in for rows, `check_media` for files.

`twins.py` finds rows on both sides, `tells.py` columns that give the target away (`power.py` measures how well),
`sides.py` groups and time, `labels.py` the classes of each side, `media.py` files on both sides; `check.py` puts the
checks of rows together.
"""

from modelmill.frames.leaks.check import check_leaks
from modelmill.frames.leaks.media import check_media

__all__ = ["check_leaks", "check_media"]
