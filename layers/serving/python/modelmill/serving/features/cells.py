"""Raw cells in; texts, categories and numbers as models read them out: one rule for training and for serving."""

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelmill.core.data.cells import MISSING, NONE, clean_text, undecorated, visible
from modelmill.core.data.html import strip_html
from modelmill.core.data.mask import VERSION, kinds_only
from modelmill.core.errors import ModelmillError

Columns = Mapping[str, Sequence[object]]
Arrays = dict[str, NDArray[Any]]

_MISSING = frozenset(text.lower() for text in (*MISSING, NONE))
_NUMBERS = {"true": "1", "false": "0"}
_LARGEST = 1e30  # well inside float32, so that differences and products in the graph stay finite


def maskers(preprocess: Mapping[str, Any]) -> dict[str, Callable[[str], str]]:
    """By column, what replaces personal data by its kind; none for a package that was trained without.

    Raises ModelmillError (`unusable_model`) for rules that this code does not know.
    """
    mask = preprocess.get("mask")
    if mask is None:
        return {}
    if mask["version"] != VERSION:
        text = f"the model was trained with masking of version {mask['version']}; here it is {VERSION}"
        raise ModelmillError("unusable_model", text, status=409, hint="train and register the model again")
    return dict.fromkeys(mask["columns"], partial(kinds_only, kinds=frozenset(mask["kinds"])))


class Reader:
    """Cells as they were stored for training: what the package's `clean`, `html` and `mask` say, in this order.

    A package that says none of them was trained on cells as they came.
    """

    def __init__(self, preprocess: Mapping[str, Any]) -> None:
        self._clean: dict[str, Any] | None = preprocess.get("clean")
        self._html = frozenset(preprocess.get("html", ()))
        self._maskers = maskers(preprocess)

    def read(self, value: object, name: str) -> str:
        """A cell of a column as text."""
        text = text_of(value, name)
        if self._clean:
            text = clean_text(text, unicode=self._clean["unicode"], control=self._clean["control"])
        if name in self._html:
            text = strip_html(text)
        masker = self._maskers.get(name)
        return masker(text) if masker else text


def text_of(value: object, name: str) -> str:
    """A cell as text; missing is the empty text. Raises ModelmillError (`bad_value`) for a list or an object."""
    if isinstance(value, str):
        return value
    return _scalar(value, name)


def category_of(value: object, name: str) -> str:
    """A cell as the name of a category, "" for a missing one: 3.0 and 3 are one category, as are " a" and "a"."""
    text = unicodedata.normalize("NFC", text_of(value, name).strip())
    return "" if text.lower() in _MISSING else text


def number_of(value: object, name: str) -> float:
    """A cell as a number within ±1e30, NaN for a missing one. Raises ModelmillError (`bad_value`) for other text."""
    text = value if isinstance(value, float) else visible(_scalar(value, name)).strip()
    if isinstance(text, str) and text.lower() in _MISSING:
        return math.nan
    try:
        number = float(_NUMBERS.get(text.lower()) or undecorated(text) if isinstance(text, str) else text)
    except ValueError:
        raise ModelmillError(
            "bad_value", f"the field {name!r} must be a number", hint="send a JSON number, or null if it is missing"
        ) from None
    return min(max(number, -_LARGEST), _LARGEST) if math.isfinite(number) else math.nan


def _scalar(value: object, name: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, int | float | np.number):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    raise ModelmillError(
        "bad_value",
        f"the field {name!r} holds a {type(value).__name__}",
        hint="send a text, a number, true, false or null",
    )


def row_count(columns: Columns) -> int:
    """Rows of a batch."""
    return len(next(iter(columns.values()), ()))


def rows_of(columns: Columns, names: Sequence[str]) -> Sequence[tuple[object, ...]]:
    """The rows' cells of those columns; a column that is absent is None in each."""
    absent: tuple[object, ...] = (None,) * row_count(columns)
    return list(zip(*(columns.get(name, absent) for name in names), strict=True))
