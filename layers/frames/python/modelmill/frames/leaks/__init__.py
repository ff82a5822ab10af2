"""Leak checks: what makes a test look better than the model is. `check_leaks` is the way in.

`twins.py` finds rows on both sides, `tells.py` columns that give the target away (`power.py` measures how well),
`sides.py` groups and time, `labels.py` the classes of each side; `check.py` puts them together.
"""

from modelmill.frames.leaks.check import check_leaks

__all__ = ["check_leaks"]
