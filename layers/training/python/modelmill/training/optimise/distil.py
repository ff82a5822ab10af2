"""A trained model and the rows that it learnt from in; a small student of its answers out (Hinton et al. 2015).

Students exist for texts: an n-gram model answers in a tenth of a millisecond what an encoder takes several for.
"""

from pathlib import Path
from typing import Any

import torch

from modelmill.core.model.spec import Candidate, RunSpec
from modelmill.core.model.task import reads_of
from modelmill.serving.features import Features
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.evaluate import answers_of_rows
from modelmill.training.families.text import NgramLinear
from modelmill.training.nets import Model
from modelmill.training.objective import Calibration, objective_of
from modelmill.training.rows import Rows
from modelmill.training.run import Run

_STUDENT = Candidate(name="student", family="ngram-linear")


def students(
    model: Model, preprocess: dict[str, Any], rows: Rows, spec: RunSpec, checkpoint: Path
) -> list[tuple[Model, dict[str, Any]]]:
    """The student and its preprocessing; none for what is no text, or for a teacher that is an n-gram model itself."""
    if reads_of(spec.task) != "text" or preprocess["kind"] == "text":
        return []
    taught = torch.from_numpy(answers_of_rows(model, Features(preprocess), rows))
    objective = objective_of(spec, rows)
    run = Run(
        spec=spec,
        candidate=_STUDENT,
        objective=objective,
        device=torch.device("cpu"),
        progress=lambda _share, _line: None,
        checkpoints=Checkpoints(checkpoint.with_name("student.safetensors"), "student"),
    )
    learnt, net = NgramLinear().fit_soft(rows, taught, run)
    # It learns probabilities, so its own need no temperature; a measure goes back into its unit.
    regression = objective.answers == "regression"
    calibration = objective.calibrate(taught, objective.target(rows)) if regression else Calibration()
    return [(Model(net.eval(), objective, calibration), learnt)]
