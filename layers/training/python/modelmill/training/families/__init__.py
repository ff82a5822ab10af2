"""The families of models. A candidate names one; its hyperparameters are the fields of the family's dataclass.

`fit(train, validation, classes, run)` gives what is served: the preprocessing as JSON and the net. Nothing is ever
fitted on test rows.
"""

from typing import Any, NamedTuple, Protocol

from torch import Tensor

from modelmill.core.errors import Rejected
from modelmill.core.model.spec import Candidate, RunSpec
from modelmill.training.loop import Run
from modelmill.training.nets import Net
from modelmill.training.rows import Rows


class Fitted(NamedTuple):
    """What a family learnt. `logits` [rows, classes] are those of the validation rows, already scaled."""

    preprocess: dict[str, Any]
    net: Net
    logits: Tensor


class Family(Protocol):
    """A config object that builds and fits its component."""

    def fit(self, train: Rows, validation: Rows, spec: RunSpec, run: Run) -> Fitted:
        """Learn from the training rows, choose by the validation rows."""


def family_of(candidate: Candidate) -> Family:
    """The family with the candidate's hyperparameters; raises Rejected (`bad_candidate`) if there is no such thing."""
    from modelmill.training.families import tabular, text

    families: dict[str, type[Family]] = {
        "ngram-linear": text.NgramLinear,
        "ngram-embedding": text.NgramEmbedding,
        "linear": tabular.Linear,
        "mlp": tabular.Mlp,
    }
    try:
        return families[candidate.family](**candidate.hyperparameters)
    except (KeyError, TypeError):
        raise Rejected(
            "bad_candidate", f"{candidate.name}: no family {candidate.family!r} with these hyperparameters"
        ) from None
