"""The families of models. A candidate names one; its hyperparameters are the fields of the family's dataclass.

`fit` learns from training rows and chooses by validation rows; `refit` learns from all of them what the fits chose.
Nothing is ever fitted on test rows.
"""

import math
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol, get_args, get_type_hints

from torch import Tensor

from modelmill.core.errors import Rejected
from modelmill.core.model.spec import Candidate
from modelmill.training.nets import Net
from modelmill.training.rows import Rows
from modelmill.training.run import Run

Settings = dict[str, Any]
"""What a fit chose on its validation rows, as JSON values: a penalty, a number of epochs or trees."""


class Fitted(NamedTuple):
    """What a family learnt. `raw` float32 [rows, K] are the net's outputs for the validation rows, uncalibrated."""

    preprocess: dict[str, Any]
    net: Net
    raw: Tensor
    settings: Settings


class Family(Protocol):
    """A config object that builds and fits its component."""

    def fit(self, train: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn from the training rows, choose by the validation rows."""

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> tuple[dict[str, Any], Net] | None:
        """Preprocessing and net of all rows with what the fits (one, or one a fold) chose; None keeps the first fit's.

        None is for what takes too long to learn twice, or cannot be learnt without validation rows.
        """


FAMILIES = {
    "ngram-linear": "text.NgramLinear",
    "ngram-embedding": "text.NgramEmbedding",
    "encoder": "encoder.Encoder",
    "linear": "tabular.Linear",
    "tabm": "tabular.TabM",
    "fusion-linear": "fusion.FusionLinear",
    "fusion": "fusion_net.Fusion",
    "boosting": "boosting.Boosting",
    "cnn": "image.Cnn",
    "backbone": "backbone.Backbone",
    "log-mel-cnn": "audio.LogMelCnn",
}
"""Where each family is: its module is imported when a candidate names it."""
_WORDS = {int: "a whole number from 0", float: "a number from 0", bool: "true or false", str: "a string"}
ALONE = frozenset({"ngram-linear", "linear", "fusion-linear", "boosting"})
"""Families that have no use for several devices: they are no loops over a net."""


def family_of(candidate: Candidate) -> Family:
    """The family with the candidate's hyperparameters; raises Rejected (`bad_candidate`) if there is no such thing."""
    place = FAMILIES.get(candidate.family)
    if place is None:
        text = f"{candidate.name}: there is no family {candidate.family!r}"
        raise Rejected("bad_candidate", text, hint=f"the families are: {', '.join(FAMILIES)}")
    module, _, name = place.partition(".")
    family = getattr(import_module(f"{__name__}.{module}"), name)
    types = get_type_hints(family.__init__)
    for given, value in candidate.hyperparameters.items():
        if given not in types:
            text = f"{candidate.name}: {candidate.family} has no hyperparameter {given!r}"
            known = ", ".join(name for name in types if name != "return")
            raise Rejected("bad_candidate", text, hint=f"it has: {known}")
        _check(value, types[given], f"{candidate.name}: {given}")
    made: Family = family(**candidate.hyperparameters)
    return made


def _check(value: object, wanted: Any, where: str) -> None:
    """Refuse what is of another type, and numbers below 0, which no hyperparameter can be."""
    wanted = [one for one in get_args(wanted) or (wanted,) if one is not type(None)]
    fits = type(value) in wanted or (type(value) is int and float in wanted)
    if not fits or (isinstance(value, int | float) and not 0 <= value < math.inf):
        words = " or ".join(_WORDS[one] for one in wanted)
        raise Rejected("bad_candidate", f"{where} must be {words}, not {value!r:.60}")
