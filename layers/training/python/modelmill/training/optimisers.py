"""Optimisers: groups of parameters and their gradients in, moved parameters out.

A name chooses what `optimiser_of` builds. The arithmetic is that of torch.optim's own kernels, one fused call for each
group; its classes are not used, because the first of them imports torch's compiler, which takes seconds. All that an
optimiser remembers is in named tensors, so that a checkpoint needs no pickle.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

Name = Literal["sgd", "momentum", "adam", "adamw", "gradient-descent"]


@dataclass(slots=True)
class Group:
    """Parameters that move alike: `factor` times the learning rate, with this weight decay."""

    parameters: list[nn.Parameter]
    factor: float
    weight_decay: float


def groups_of(net: nn.Module, weight_decay: float, factors: Mapping[str, float]) -> list[Group]:
    """The groups of a net's trainable parameters. Biases and the scales of norms, which have one axis, do not decay.

    `factors` are of the learning rate, by how a parameter's name begins; the longest beginning counts.
    """
    found: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            begins = max((prefix for prefix in factors if name.startswith(prefix)), key=len, default=None)
            factor = 1.0 if begins is None else factors[begins]
            found[factor, weight_decay if parameter.ndim > 1 else 0.0].append(parameter)
    return [Group(parameters, factor, decay) for (factor, decay), parameters in found.items()]


class Optimiser:
    """Moves parameters against their gradients. `kept` names the tensors that it remembers of each parameter."""

    kept: ClassVar[tuple[str, ...]] = ()

    def __init__(self, groups: Iterable[Group]) -> None:
        self.groups = list(groups)
        self._state = {
            id(parameter): {name: torch.zeros_like(local(parameter)) for name in self.kept}
            | {"steps": torch.zeros((), device=parameter.device)}
            for parameter in self.parameters()
        }

    def parameters(self) -> list[nn.Parameter]:
        """All that it moves, in the order of their numbers in `tensors`."""
        return [parameter for group in self.groups for parameter in group.parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move once, with the learning rate `rate`; a parameter without a gradient stays as it is."""
        for group in self.groups:
            moved = [parameter for parameter in group.parameters if parameter.grad is not None]
            if moved:
                call = _Call(
                    [local(parameter) for parameter in moved], [local(p.grad) for p in moved if p.grad is not None]
                )
                for name in (*self.kept, "steps"):
                    call.state[name] = [self._state[id(parameter)][name] for parameter in moved]
                self.move(call, rate * group.factor, group.weight_decay)

    def move(self, call: "_Call", rate: float, weight_decay: float) -> None:
        """One call of the kernel."""
        raise NotImplementedError

    def tensors(self) -> dict[str, Tensor]:
        """What it remembers, by name and number of the parameter."""
        return {
            f"{name}.{number}": tensor
            for number, parameter in enumerate(self.parameters())
            for name, tensor in self._state[id(parameter)].items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors` gave."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])


@dataclass(slots=True)
class _Call:
    parameters: list[Tensor]
    gradients: list[Tensor]
    state: dict[str, list[Tensor]] = field(default_factory=dict)


class Sgd(Optimiser):
    """Stochastic gradient descent; plain gradient descent is the same on all rows at once."""

    momentum: ClassVar[float] = 0.0

    def move(self, call: _Call, rate: float, weight_decay: float) -> None:
        """`p -= rate * (grad + weight_decay * p)`; with momentum the velocity of such gradients (Sutskever 2013)."""
        sgd(
            call.parameters,
            call.gradients,
            list[Any](call.state.get("velocity", [None] * len(call.parameters))),
            fused=True,
            weight_decay=weight_decay,
            momentum=self.momentum,
            lr=rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )


class Momentum(Sgd):
    """Heavy ball (Polyak 1964)."""

    kept = ("velocity",)
    momentum = 0.9


class Adam(Optimiser):
    """Adam (Kingma and Ba 2015): its weight decay is part of the gradient."""

    kept = ("average", "square")
    kernel: ClassVar[Callable[..., None]] = staticmethod(adam)

    def move(self, call: _Call, rate: float, weight_decay: float) -> None:
        """Along the average gradient, divided by the root of the average square."""
        type(self).kernel(
            call.parameters,
            call.gradients,
            call.state["average"],
            call.state["square"],
            [],
            call.state["steps"],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=weight_decay,
            eps=1e-8,
            maximize=False,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    kernel = staticmethod(adamw)


OPTIMISERS: dict[Name, type[Optimiser]] = {
    "sgd": Sgd,
    "momentum": Momentum,
    "adam": Adam,
    "adamw": AdamW,
    "gradient-descent": Sgd,
}


def optimiser_of(name: Name, groups: Iterable[Group]) -> Optimiser:
    """The optimiser of that name over these groups."""
    return OPTIMISERS[name](groups)


def local(tensor: Tensor) -> Tensor:
    """The part of a tensor that this process holds: all of it, unless it is sharded."""
    part: Tensor = getattr(tensor.detach(), "to_local", tensor.detach)()
    return part


def clip(gradients: list[Tensor], limit: float, norm: Tensor) -> None:
    """Scale gradients in place so that their `norm` is at most `limit`.

    The norm is that of one long vector of all values: the root of the sum of squares, and no mean of norms.
    """
    torch._foreach_mul_(gradients, (limit / (norm + 1e-6)).clamp(max=1.0))
