"""A family whose loss is known: its hyperparameter `slope` is right at 2, and it counts what it is asked to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from modelmill.core.model.recipe import Range, Recipe
from modelmill.core.model.spec import Candidate, Column, RunSpec
from modelmill.serving.features import Features
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.families import Fitted, Settings
from modelmill.training.nets import Net, Tensors
from modelmill.training.objective import objective_of
from modelmill.training.rows import Cells, Rows
from modelmill.training.run import Run

FITS: list[dict[str, Any]] = []
"""What every fit was asked for: slope, rows, checkpoint, epochs."""
RIGHT = 2.0


class SlopeNet(Net):
    """Log odds of the second class: slope times the number."""

    kind: ClassVar[str] = "slope"

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:  # noqa: ARG003
        return cls(float(tensors["slope"]))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:  # noqa: ARG002
        odds = numbers[:, :1] * self.slope
        return torch.cat([torch.zeros_like(odds), odds], dim=1)


class PlainNet(Net):
    """Numbers times a table [N, K]."""

    kind: ClassVar[str] = "plain"

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table)

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:  # noqa: ARG003
        return cls(tensors["table"])

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:  # noqa: ARG002
        return numbers @ self.table

    def export(self, graph: Any) -> str:
        numbers = graph.input("numbers", "FLOAT", len(self.table))
        name: str = graph.op("MatMul", [numbers, graph.constant(self.table, "table")])
        return name


@dataclass(frozen=True, kw_only=True)
class Slope:
    """`fit` learns nothing; `epochs` are reported, `fails_from` is the slope from which it fails."""

    slope: float = 6.0
    epochs: int = 0
    fails_from: float = 1e9
    again: bool = True

    def fit(self, train: Rows, validation: Rows, run: Run) -> Fitted:
        said: dict[str, Any] = {"slope": self.slope, "rows": len(train), "checkpoint": run.checkpoints.path.name}
        FITS.append(said)
        if self.slope >= self.fails_from or len(validation) == 0:
            raise ValueError(f"slope {self.slope:.2f} is too steep")
        preprocess = {"kind": "tabular", "numbers": ["x"], "categories": []}
        net = SlopeNet(self.slope)
        arrays = Features(preprocess).arrays(validation.columns)
        raw = net(**{name: torch.from_numpy(array) for name, array in arrays.items()}).detach()
        loss = run.objective.scores(raw, run.objective.target(validation))[run.objective.measure]
        for epoch in range(1, self.epochs + 1):
            said["epochs"] = epoch
            run.report(epoch, loss * (1 + 1 / epoch))
        return Fitted(preprocess, net, raw, {"slope": self.slope})

    def refit(
        self,
        rows: Rows,  # noqa: ARG002
        settings: Sequence[Settings],
        run: Run,  # noqa: ARG002
    ) -> tuple[dict[str, Any], Net] | None:
        preprocess = {"kind": "tabular", "numbers": ["x"], "categories": []}
        return (preprocess, SlopeNet(settings[0]["slope"])) if self.again else None


@dataclass(frozen=True, kw_only=True)
class Costly(Slope):
    """One whose answers take long."""

    costly: ClassVar[bool] = True


def rows_of(count: int, seed: int = 0) -> Rows:
    """Numbers, and classes drawn with the log odds RIGHT times the number."""
    random = np.random.default_rng(seed)
    numbers = random.normal(size=count) * 2
    target = (random.random(count) < 1 / (1 + np.exp(-RIGHT * numbers))).astype(np.int64)
    return Rows({"x": Cells(pa.chunked_array([pa.array(numbers)]))}, target)


def run_of(path: Any, candidates: Sequence[Candidate], name: str, deadline: float | None = None, **recipe: Any) -> Run:
    """A run of toy candidates."""
    spec = RunSpec(
        run_id="r1",
        tenant="default",
        dataset="d",
        dataset_version="v",
        data_prefix="",
        model="m",
        task="tabular-classification",
        target="y",
        inputs=[Column(name="x", kind="number")],
        labels=["no", "yes"],
        candidates=list(candidates),
        recipe=Recipe(**recipe),
    )
    return Run(
        spec=spec,
        candidate=next(candidate for candidate in candidates if candidate.name == name),
        objective=objective_of(spec),
        device=torch.device("cpu"),
        progress=lambda *_: None,
        checkpoints=Checkpoints(path / f"{name}.safetensors", "f"),
        deadline=deadline,
    )


def study(workers: int = 1, **hyperparameters: Any) -> list[Candidate]:
    """The jobs of one study over the slope."""
    names = ["toy", *(f"toy.{number}" for number in range(2, workers + 1))]
    space = {"slope": Range(low=0.1, high=10.0, log=True)}
    return [
        Candidate(name=name, family="toy", hyperparameters=hyperparameters, search=space, study="toy") for name in names
    ]
