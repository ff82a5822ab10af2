"""The training loop: a net and a loss in, the weights with the best validation loss out.

AdamW with a one-cycle learning rate, gradient clipping, early stopping, one checkpoint per epoch. Shuffling and
dropout are seeded per epoch, so a loop resumed from a checkpoint gives the same weights, bit by bit, as one that
never stopped.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from modelmill.training.run import Run

_WARM_UP = 0.1
_CLIP_NORM = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Loop:
    """Settings of the loop; `fit` is the loop."""

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    patience: int

    def fit(
        self, net: nn.Module, rows: int, loss_of: Callable[[Tensor], Tensor], validate: Callable[[], float], run: Run
    ) -> None:
        """Train `net` in place. `loss_of` gives the mean loss of the rows with the given numbers (int64 [B]).

        `validate` gives the validation log loss of the net as it is.
        """
        state = _State.start(net)
        state.resume(net, run.checkpoints.load())
        steps = math.ceil(rows / self.batch)
        while state.epoch < self.epochs and state.stale < self.patience:
            torch.manual_seed(run.seed * 1_000 + state.epoch)
            net.train()
            for index, batch in enumerate(_batches(rows, self.batch)):
                rate = self.learning_rate * one_cycle((state.epoch * steps + index) / (self.epochs * steps))
                torch.autograd.backward(loss_of(batch.to(run.device)))
                state.step(net, rate, self.weight_decay)
            net.eval()
            state.end_epoch(net, validate())
            run.checkpoints.save(state.tensors(net), state.as_dict())
            run.progress(state.epoch / self.epochs, f"epoch {state.epoch}, validation log loss {state.last:.4f}")
        net.load_state_dict(state.best_tensors)
        net.eval()


def one_cycle(done: float) -> float:
    """Share of the full learning rate when `done` of the loop is done: linear warm-up, then cosine to zero."""
    if done < _WARM_UP:
        return (done + 1e-3) / (_WARM_UP + 1e-3)
    return (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP))) / 2


def _batches(rows: int, size: int) -> Iterator[Tensor]:
    yield from torch.split(torch.randperm(rows), size)


@dataclass(slots=True)
class _State:
    """AdamW's moments and the loop's place, all of it in tensors and numbers, so that a checkpoint needs no pickle."""

    averages: list[Tensor]
    squares: list[Tensor]
    steps: list[Tensor]
    best_tensors: dict[str, Tensor]
    epoch: int = 0
    stale: int = 0
    best: float = math.inf
    last: float = math.inf
    parameters: list[nn.Parameter] = field(default_factory=list)

    @classmethod
    def start(cls, net: nn.Module) -> "_State":
        parameters = list(net.parameters())
        zeros = [torch.zeros_like(parameter) for parameter in parameters]
        return cls(
            averages=zeros,
            squares=[zero.clone() for zero in zeros],
            steps=[torch.zeros(()) for _ in parameters],
            best_tensors=_copy(net),
            parameters=parameters,
        )

    def step(self, net: nn.Module, rate: float, weight_decay: float) -> None:
        """One AdamW step (Loshchilov and Hutter 2019) on clipped gradients, which it clears."""
        nn.utils.clip_grad_norm_(self.parameters, _CLIP_NORM)
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]
        with torch.no_grad():
            adamw(
                list[Tensor](self.parameters),
                gradients,
                self.averages,
                self.squares,
                [],
                self.steps,
                foreach=False,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=rate,
                weight_decay=weight_decay,
                eps=1e-8,
                maximize=False,
            )
        net.zero_grad(set_to_none=True)

    def end_epoch(self, net: nn.Module, loss: float) -> None:
        self.epoch, self.last = self.epoch + 1, loss
        if loss < self.best:
            self.best, self.stale, self.best_tensors = loss, 0, _copy(net)
        else:
            self.stale += 1

    def as_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "stale": self.stale, "best": self.best, "last": self.last}

    def tensors(self, net: nn.Module) -> dict[str, Tensor]:
        moments = {"average": self.averages, "square": self.squares, "step": self.steps}
        return {
            **{f"net.{name}": tensor for name, tensor in net.state_dict().items()},
            **{f"best.{name}": tensor for name, tensor in self.best_tensors.items()},
            **{f"{kind}.{index}": tensor for kind, list_ in moments.items() for index, tensor in enumerate(list_)},
        }

    def resume(self, net: nn.Module, kept: tuple[dict[str, Tensor], dict[str, Any]] | None) -> None:
        if kept is None:
            return
        tensors, values = kept
        net.load_state_dict({name: tensors[f"net.{name}"] for name in net.state_dict()})
        self.best_tensors = {name: tensors[f"best.{name}"] for name in self.best_tensors}
        for kind, list_ in (("average", self.averages), ("square", self.squares), ("step", self.steps)):
            for index, tensor in enumerate(list_):
                tensor.copy_(tensors[f"{kind}.{index}"])
        self.epoch, self.stale = values["epoch"], values["stale"]
        self.best, self.last = values["best"], values["last"]


def _copy(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}
