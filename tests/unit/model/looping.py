"""A small net with something to learn, for the tests of the loop; also what a process of its own runs.

`python -m tests.unit.model.looping FOLDER JSON` trains in FOLDER and prints what it ended with as JSON.
"""

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Candidate, RunSpec
from modelmill.training import checkpoints, parallel
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.loop import Ended, Loop
from modelmill.training.objective import Classes
from modelmill.training.run import Run


def run_of(folder: Path, *, weights: list[float] | None = None, lines: list[str] | None = None, **recipe: Any) -> Run:
    """A run whose checkpoint lies in the folder."""
    spec = RunSpec(
        run_id="r", tenant="t", dataset="d", dataset_version="v", data_prefix="p/", model="m", target="y", inputs=[],
        task="tabular-classification", labels=["a", "b", "c"], candidates=[], recipe=Recipe(**recipe),
    )  # fmt: skip
    return Run(
        spec=spec,
        candidate=Candidate(name="toy", family="toy"),
        objective=Classes(3, None if weights is None else torch.tensor(weights)),
        device=torch.device("cpu"),
        progress=lambda _, line: None if lines is None else lines.append(line),
        checkpoints=Checkpoints(folder / "toy.safetensors", "toy"),
    )


class Blocks(nn.Module):
    """A residual net with everything that matters: a list of blocks, norms, biases, dropout, a buffer."""

    shift: Tensor

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(6, 8)
        blocks = (nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.ReLU(), nn.Dropout(dropout)) for _ in range(2))
        self.blocks = nn.ModuleList(blocks)
        self.leave = nn.Linear(8, 3)
        self.register_buffer("shift", torch.full((6,), 0.1))

    def forward(self, values: Tensor) -> Tensor:
        hidden = self.enter(values + self.shift)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        outputs: Tensor = self.leave(hidden)
        return outputs


@dataclass
class Toy:
    """Three classes that overlap; the net calls itself, not through what wraps it, as families' nets do."""

    rows: int = 200
    dropout: float = 0.0
    dtype: torch.dtype = torch.float32
    pause: float = 0.0
    fails_after: int = 10**9
    """Epochs after which it breaks, once they are kept."""
    net: Blocks = field(init=False)

    validated: int = 0

    def __post_init__(self) -> None:
        made = torch.Generator().manual_seed(3)
        self.target = torch.randint(0, 3, (self.rows + 60,), generator=made)
        centres = torch.randn(3, 6, generator=made)
        noise = torch.randn(self.rows + 60, 6, generator=made)
        self.values = (centres[self.target] + noise).to(self.dtype)
        torch.manual_seed(5)
        self.net = Blocks(self.dropout).to(self.dtype)

    def train(self, loop: Loop, run: Run, **how: Any) -> Ended:
        """Learn from the first rows, validate by the others."""

        def loss_of(index: Tensor) -> Tensor:
            time.sleep(self.pause)
            if self.validated >= self.fails_after:
                raise ArithmeticError("as it was told to")
            return run.objective.loss(self.net(self.values[index]), self.target[index])

        validate = how.pop("validate", self.loss)
        return loop.fit(self.net, self.rows, loss_of, validate, run, **how)

    @torch.no_grad()
    def loss(self) -> float:
        """The validation loss of the net as it is."""
        self.validated += 1
        raw = self.net(self.values[self.rows :])
        return float(nn.functional.cross_entropy(raw.double(), self.target[self.rows :]))

    def weights(self) -> dict[str, Tensor]:
        """The net's state."""
        return {name: tensor.clone() for name, tensor in self.net.state_dict().items()}


def equal(some: dict[str, Tensor], others: dict[str, Tensor], within: float = 0.0) -> bool:
    """The same names, and the same values."""
    assert some.keys() == others.keys()
    return all(bool(((tensor - others[name]).abs() <= within).all()) for name, tensor in some.items())


def main(folder: Path, wanted: dict[str, Any]) -> None:
    """Train in one of several processes, or alone; what it ended with lies in the folder."""
    torch.set_num_threads(1)
    checkpoints.SAVE_SECONDS = wanted.get("save", checkpoints.SAVE_SECONDS)
    parallel.SHARD_PARAMETERS = wanted.get("shard", parallel.SHARD_PARAMETERS)
    parallel.join()
    run = run_of(folder, weights=[1.0, 2.0, 0.5])
    toy = Toy(**wanted["toy"])
    ended = toy.train(Loop(**wanted["loop"]), run)
    if parallel.leads():
        Checkpoints(folder / "ended.safetensors", "ended").save(
            toy.weights(), {"ended": list(ended), "history": run.history, "validated": toy.loss()}
        )
    parallel.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
