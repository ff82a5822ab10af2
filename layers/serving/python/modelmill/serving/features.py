"""Raw columns in, the model's input arrays out: the one implementation, used to train and to serve.

What was fitted (vocabulary, column names, category values) comes from the package's `preprocess.json`. Only lookups
happen here; every piece of arithmetic (idf, normalisation, imputation, scaling) is inside the ONNX graph.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelmill.core.data.cells import MISSING, NONE, clean_text, undecorated, visible
from modelmill.core.data.html import strip_html
from modelmill.core.data.mask import VERSION, kinds_only
from modelmill.core.errors import ModelmillError
from modelmill.core.model.tokens import MAX_TOKENS, ngrams, tokens

Columns = Mapping[str, Sequence[object]]
Arrays = dict[str, NDArray[Any]]

_MISSING = frozenset(text.lower() for text in (*MISSING, NONE))
_NUMBERS = {"true": "1", "false": "0"}
_LARGEST = 1e30  # well inside float32, so that differences and products in the graph stay finite


class Sparse(NamedTuple):
    """Rows of n-gram counts, one after the other: row i is `ids[offsets[i]:offsets[i + 1]]`, ids from 1."""

    ids: NDArray[np.int64]
    counts: NDArray[np.float32]
    offsets: NDArray[np.int64]

    def padded(self) -> Arrays:
        """`ids` int64 [B, L] and `counts` float32 [B, L], 0 where a row has no more n-grams; L is at least 1."""
        lengths = np.diff(self.offsets)
        width = max(int(lengths.max(initial=0)), 1)
        taken = np.arange(width) < lengths[:, None]
        ids = np.zeros(taken.shape, dtype=np.int64)
        counts = np.zeros(taken.shape, dtype=np.float32)
        ids[taken] = self.ids
        counts[taken] = self.counts
        return {"ids": ids, "counts": counts}


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


class TextFeatures:
    """N-gram counts of one or more text columns over a fixed vocabulary."""

    def __init__(self, preprocess: Mapping[str, Any]) -> None:
        self.field_names: tuple[str, ...] = tuple(preprocess["inputs"])
        self._shortest, self._longest = preprocess["ngrams"]
        self._limit = int(preprocess.get("max_tokens", MAX_TOKENS))
        self.text = Reader(preprocess).read
        self._ids = {ngram: index + 1 for index, ngram in enumerate(preprocess["vocabulary"])}

    def sparse(self, columns: Columns) -> Sparse:
        """Known n-grams of each row with their counts; n-grams do not cross from one column into the next."""
        find = self._ids.get
        ids: list[int] = []
        counts: list[int] = []
        lengths: list[int] = []
        for row in _rows(columns, self.field_names):
            grams = chain.from_iterable(
                ngrams(tokens(self.text(value, name), self._limit), self._shortest, self._longest)
                for name, value in zip(self.field_names, row, strict=True)
            )
            found = Counter(filter(None, map(find, grams)))
            ids.extend(found)
            counts.extend(found.values())
            lengths.append(len(found))
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
        return Sparse(np.array(ids, dtype=np.int64), np.array(counts, dtype=np.float32), offsets)

    def arrays(self, columns: Columns) -> Arrays:
        """`ids` int64 [B, L] and `counts` float32 [B, L]."""
        return self.sparse(columns).padded()


class TabularFeatures:
    """Numbers as they are and categories as indices into the values seen in training."""

    def __init__(self, preprocess: Mapping[str, Any]) -> None:
        self._numbers: tuple[str, ...] = tuple(preprocess["numbers"])
        self._categories = {
            column["name"]: {value: index + 1 for index, value in enumerate(column["values"])}
            for column in preprocess["categories"]
        }
        self._read = Reader(preprocess).read
        self.field_names: tuple[str, ...] = (*self._numbers, *self._categories)

    def category(self, value: object, name: str) -> str:
        """A cell of a column as the name of its category; personal data is one category for each kind."""
        return category_of(self._read(value, name), name)

    def arrays(self, columns: Columns) -> Arrays:
        """`numbers` float32 [B, N], NaN where missing; `categories` int64 [B, C], 0 where missing or never seen."""
        rows = _row_count(columns)
        numbers = np.full((rows, len(self._numbers)), np.nan, dtype=np.float32)
        for index, name in enumerate(self._numbers):
            if name in columns:
                numbers[:, index] = [number_of(value, name) for value in columns[name]]
        categories = np.zeros((rows, len(self._categories)), dtype=np.int64)
        for index, (name, known) in enumerate(self._categories.items()):
            if name in columns:
                categories[:, index] = [known.get(self.category(value, name), 0) for value in columns[name]]
        return {"numbers": numbers, "categories": categories}


class Features:
    """The features that a package's preprocess.json describes; `field_names` are the raw columns it reads."""

    def __init__(self, preprocess: Mapping[str, Any]) -> None:
        self._encoder = (TextFeatures if preprocess["kind"] == "text" else TabularFeatures)(preprocess)
        self.field_names: tuple[str, ...] = self._encoder.field_names

    def arrays(self, columns: Columns) -> Arrays:
        """The arrays of one batch by input name; a column that is absent counts as missing in every row."""
        return self._encoder.arrays(columns)


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


def _row_count(columns: Columns) -> int:
    return len(next(iter(columns.values()), ()))


def _rows(columns: Columns, names: Sequence[str]) -> Sequence[tuple[object, ...]]:
    absent: tuple[object, ...] = (None,) * _row_count(columns)
    return list(zip(*(columns.get(name, absent) for name in names), strict=True))
