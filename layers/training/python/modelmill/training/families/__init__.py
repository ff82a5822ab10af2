"""The families of models. A candidate names one; its hyperparameters are the fields of the family's dataclass.

`fit` learns from training rows and chooses by validation rows; `refit` learns from all of them what the fits chose.
Nothing is ever fitted on test rows.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

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
ALONE = frozenset({"ngram-linear", "linear", "fusion-linear", "boosting"})
"""Families that have no use for several devices: they are no loops over a net."""


def family_of(candidate: Candidate) -> Family:
    """The family with the candidate's hyperparameters; raises Rejected (`bad_candidate`) if there is no such thing."""
    try:
        module, _, name = FAMILIES[candidate.family].partition(".")
        family: Family = getattr(import_module(f"{__name__}.{module}"), name)(**candidate.hyperparameters)
    except (KeyError, TypeError):
        raise Rejected(
            "bad_candidate", f"{candidate.name}: no family {candidate.family!r} with these hyperparameters"
        ) from None
    return family
