"""Several processes that train one net: their places in, one gradient, one decision and one set of weights out.

`torch.distributed.run` starts them and says each its rank in the environment. A batch is the same whatever their
number: each takes its share of the rows, and losses are weighed by rows, so that the gradient is one process's. Only
the process that leads (rank 0) writes checkpoints, progress and results. All of it does nothing in a process alone.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from modelmill.training.checkpoints import Checkpoints
from modelmill.training.optimisers import Optimiser


class _Loss(nn.Module):
    """A loss as a module that holds the net: what DDP, FSDP and the compiler can wrap, whatever of the net it calls."""

    def __init__(self, net: nn.Module, loss_of: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.loss_of = net, loss_of

    def forward(self, index: Tensor) -> Tensor:
        return self.loss_of(index)


@dataclass(slots=True)
class Ranks:
    """This process's place."""

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """True for the one that writes."""
        return self.rank == 0

    def spread(
        self, net: nn.Module, loss_of: Callable[[Tensor], Tensor], device: torch.device, *, compiled: bool
    ) -> Callable[[Tensor], Tensor]:
        """The loss, as every process is to call it."""
        return torch.compile(_Loss(net, loss_of)) if compiled else loss_of

    def share(self, step: Tensor) -> tuple[Tensor, int]:
        """The rows of a batch that are this process's, and how much their mean loss weighs."""
        return step, len(step)

    @contextlib.contextmanager
    def together(self, loss_of: Callable[[Tensor], Tensor], *, last: bool) -> Iterator[None]:
        """Gradients of all processes are summed when the last step of a move goes back."""
        yield

    def norm(self, gradients: list[Tensor]) -> Tensor | None:
        """The norm of all gradients, where these are only a part of them."""
        return None

    def sum(self, value: Tensor) -> float:
        """Of all processes."""
        return float(value)

    def agree(self, wanted: bool) -> bool:
        """What the leading process wants."""
        return wanted

    def leader(self, value: float) -> float:
        """The leading process's value."""
        return value

    @contextlib.contextmanager
    def whole(self, net: nn.Module) -> Iterator[None]:
        """The net can be called by itself inside."""
        yield

    def tensors(self, net: nn.Module) -> dict[str, Tensor]:
        """The net's state, whole."""
        return {name: tensor.detach() for name, tensor in net.state_dict().items()}

    def optimiser(self, optimiser: Optimiser) -> dict[str, Tensor]:
        """The optimiser's state, whole."""
        return optimiser.tensors()

    def load(self, checkpoints: Checkpoints) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The leading process's checkpoint."""
        return checkpoints.load()

    def restore(
        self, net: nn.Module, tensors: dict[str, Tensor], optimiser: Optimiser, kept: dict[str, Tensor]
    ) -> None:
        """Net and optimiser as they were."""
        net.load_state_dict(tensors)
        optimiser.restore(kept)

    def gather(self, net: nn.Module) -> None:
        """Make the net an ordinary one again."""


def ranks() -> Ranks:
    """This process's place among those that torch.distributed.run started, or alone."""
    return Ranks(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
