"""Raw columns in, the model's input arrays out: the one implementation, used to train and to serve.

What was fitted (vocabulary, column names, category values) comes from the package's `preprocess.json`, whose `kind`
chooses the code. Only lookups and decoding happen here; every piece of arithmetic (idf, normalisation, imputation,
scaling) is inside the ONNX graph.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

from modelmill.core.errors import ModelmillError
from modelmill.serving.features.cells import Arrays, Columns, Reader, category_of, maskers, number_of, text_of
from modelmill.serving.features.files import Media
from modelmill.serving.features.table import TabularFeatures
from modelmill.serving.features.text import Sparse, TextFeatures


class Encoder(Protocol):
    """Raw columns of one kind as arrays; made of the package's preprocess.json."""

    field_names: tuple[str, ...]

    def __init__(self, preprocess: Mapping[str, Any]) -> None: ...

    def arrays(self, columns: Columns) -> Arrays:
        """The arrays of one batch by input name."""


_LATE = {
    "wordpieces": "modelmill.serving.features.wordpieces.WordpieceFeatures",
    "image": "modelmill.serving.features.image.ImageFeatures",
    "audio": "modelmill.serving.features.audio.AudioFeatures",
}
"""Kinds that need a library of their own: imported by the first model that has one."""
_TEXTS = ("text", "wordpieces")


class Features:
    """The features that a package's preprocess.json describes; `field_names` are the raw columns it reads."""

    def __init__(self, preprocess: Mapping[str, Any]) -> None:
        """Raises ModelmillError (`unusable_model`) for a kind that this code does not know."""
        self._encoder = _encoder_of(preprocess)
        self.field_names: tuple[str, ...] = self._encoder.field_names
        self.is_text: bool = _reads_texts(preprocess)
        self.media: Mapping[str, Media] = media_of(self._encoder)
        """What reads the fields of images and sounds."""

    def arrays(self, columns: Columns) -> Arrays:
        """The arrays of one batch by input name; a column that is absent counts as missing in every row."""
        return self._encoder.arrays(columns)


class Parts:
    """Several kinds of features of one row, side by side: the array `name` of a part is `{part}.{name}`.

    Parts that say the same are computed once.
    """

    def __init__(self, preprocess: Mapping[str, Any]) -> None:
        self._encoders: list[tuple[Encoder, list[str]]] = []
        said: list[Mapping[str, Any]] = []
        for name, part in preprocess["parts"].items():
            if part in said:
                self._encoders[said.index(part)][1].append(name)
            else:
                said.append(part)
                self._encoders.append((_encoder_of(part), [name]))
        fields = (field for encoder, _ in self._encoders for field in encoder.field_names)
        self.field_names: tuple[str, ...] = tuple(dict.fromkeys(fields))
        self.media = {name: media for encoder, _ in self._encoders for name, media in media_of(encoder).items()}

    def arrays(self, columns: Columns) -> Arrays:
        """The arrays of every part."""
        arrays: Arrays = {}
        for encoder, parts in self._encoders:
            for name, array in encoder.arrays(columns).items():
                arrays.update((f"{part}.{name}", array) for part in parts)
        return arrays


_KINDS: dict[str, type[Encoder]] = {"text": TextFeatures, "tabular": TabularFeatures, "parts": Parts}


def _encoder_of(preprocess: Mapping[str, Any]) -> Encoder:
    kind = preprocess["kind"]
    if kind in _KINDS:
        return _KINDS[kind](preprocess)
    if kind not in _LATE:
        text = f"the model reads {kind!r}, which this version does not know"
        raise ModelmillError("unusable_model", text, status=409, hint="train and register the model again")
    module, _, name = _LATE[kind].rpartition(".")
    encoder: Encoder = getattr(import_module(module), name)(preprocess)
    return encoder


def media_of(encoder: Encoder) -> Mapping[str, Media]:
    """What reads the encoder's fields of images and sounds, by name."""
    found: Mapping[str, Media] = getattr(encoder, "media", {})
    return found


def _reads_texts(preprocess: Mapping[str, Any]) -> bool:
    """True if nothing but texts is read."""
    if preprocess["kind"] == "parts":
        return all(map(_reads_texts, preprocess["parts"].values()))
    return preprocess["kind"] in _TEXTS


__all__ = [
    "Arrays",
    "Columns",
    "Encoder",
    "Features",
    "Reader",
    "Sparse",
    "TabularFeatures",
    "TextFeatures",
    "category_of",
    "maskers",
    "number_of",
    "text_of",
]
