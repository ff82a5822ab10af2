"""Several processes that train one net: their places in, one gradient, one decision and one set of weights out.

`torch.distributed.run` starts them and says each its rank in the environment. A batch is the same whatever their
number: each takes its share of the rows, and losses are weighed by rows, so that the gradient is one process's. Only
the process that leads (rank 0) writes checkpoints, progress and results. `Alone` is what a single process needs of
this: nothing. `Replicas` keep the whole net each (DDP), `Shards` a part of it each (FSDP).
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from modelmill.training.checkpoints import Checkpoints, parse
from modelmill.training.optimisers import Optimiser, local

_Result = TypeVar("_Result")
LossOf = Callable[[Tensor], Tensor]
SHARD_PARAMETERS = 1_000_000_000
"""From so many parameters on each process keeps a part: whole, they, their gradients and moments take 16 GB."""


class _Loss(nn.Module):
    """A loss as a module that holds the net: what DDP, FSDP and the compiler can wrap, whatever of the net it calls."""

    def __init__(self, net: nn.Module, loss_of: LossOf) -> None:
        super().__init__()
        self.net, self.loss_of = net, loss_of

    def forward(self, index: Tensor) -> Tensor:
        return self.loss_of(index)


class Alone:
    """The one process that trains a net."""

    rank, world = 0, 1

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    @property
    def leads(self) -> bool:
        """True for the process that writes."""
        return self.rank == 0

    def spread(self, loss_of: LossOf, *, compiled: bool) -> LossOf:
        """The loss, as every process is to call it."""
        return torch.compile(_Loss(self.net, loss_of)) if compiled else loss_of

    def share(self, step: Tensor) -> tuple[Tensor, int]:
        """The rows of a batch that are this process's, and how much their mean loss weighs."""
        return step, len(step)

    def step(self, *, last: bool) -> contextlib.AbstractContextManager[Any]:  # noqa: ARG002 - matters to several
        """Around the loss and the way back of one step; gradients of all processes meet in the last of a move."""
        return contextlib.nullcontext()

    def norm(self, gradients: list[Tensor]) -> Tensor:
        """The norm of the net's gradients, as one vector."""
        return nn.utils.get_total_norm(gradients)

    def sum(self, value: Tensor) -> float:
        """Of all processes."""
        return float(value)

    def whole(self) -> contextlib.AbstractContextManager[Any]:
        """The net can be called by itself inside."""
        return contextlib.nullcontext()

    def tensors(self) -> dict[str, Tensor]:
        """The net's state."""
        return {name: tensor.detach() for name, tensor in self.net.state_dict().items()}

    def moments(self, optimiser: Optimiser) -> dict[str, Tensor]:
        """The optimiser's state."""
        return optimiser.tensors()

    def load(self, checkpoints: Checkpoints) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The leading process's checkpoint."""
        return checkpoints.load()

    def restore(self, tensors: Mapping[str, Tensor], optimiser: Optimiser, moments: Mapping[str, Tensor]) -> None:
        """Net and optimiser as they were."""
        self.net.load_state_dict(tensors)
        optimiser.restore(moments)

    def gather(self) -> None:
        """Make the net an ordinary one again."""


class Replicas(Alone):
    """One of several processes, each with the whole net: DistributedDataParallel (Li et al. 2020)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net)
        self.rank, self.world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self._wrapped: nn.Module | None = None

    def spread(self, loss_of: LossOf, *, compiled: bool) -> LossOf:
        """DDP around the loss; every process begins with the weights of the one that leads."""
        # A net of several parts may leave one of them out of a batch.
        wrapped = nn.parallel.DistributedDataParallel(_Loss(self.net, loss_of), find_unused_parameters=True)
        self._wrapped = wrapped
        return torch.compile(wrapped) if compiled else wrapped

    def share(self, step: Tensor) -> tuple[Tensor, int]:
        """An even part; one without a row of its own takes any row, with no weight."""
        part = torch.tensor_split(step, self.world)[self.rank]
        return (part, len(part)) if len(part) else (step[:1], 0)

    def step(self, *, last: bool) -> contextlib.AbstractContextManager[Any]:
        """Before the last step gradients stay where they are."""
        wrapped: Any = self._wrapped
        return contextlib.nullcontext() if last else wrapped.no_sync()

    def sum(self, value: Tensor) -> float:
        """By all-reduce."""
        total = value.detach().clone()
        torch.distributed.all_reduce(total)
        return float(total)

    def load(self, checkpoints: Checkpoints) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Others may have an older copy, or none."""
        data = _bytes_of_leader(checkpoints.read() if self.leads else b"")
        return parse(data, checkpoints.fingerprint)

    def gather(self) -> None:
        """DDP lets go of the net."""
        self._wrapped = None


class Shards(Replicas):
    """One of several processes, each with a part of every parameter: fully_shard (Zhao et al. 2023)."""

    def spread(self, loss_of: LossOf, *, compiled: bool) -> LossOf:
        """Blocks (the members of each ModuleList) are gathered one after the other, the rest of the net as a whole."""
        from torch.distributed.fsdp import fully_shard

        for tensor in (*self.net.parameters(), *self.net.buffers()):
            torch.distributed.broadcast(tensor.detach(), 0)
        self._before = [(part, type(part), _hooks(part)) for part in self.net.modules()]
        wrapped = _Loss(self.net, loss_of)
        blocks = [block for part in self.net.modules() if isinstance(part, nn.ModuleList) for block in part]
        for part in (*blocks, wrapped):
            fully_shard(part)
        self._wrapped, self._sharded = wrapped, [*blocks, wrapped]
        return torch.compile(wrapped) if compiled else wrapped

    def step(self, *, last: bool) -> contextlib.AbstractContextManager[Any]:
        """Before the last step gradients stay where they are."""
        wrapped: Any = self._wrapped
        wrapped.set_requires_gradient_sync(last)
        return contextlib.nullcontext()

    def norm(self, gradients: list[Tensor]) -> Tensor:
        """Squares of all parts together."""
        squares = super().norm(gradients).square()
        torch.distributed.all_reduce(squares)
        return squares.sqrt()

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """All parts are gathered inside."""
        parts: list[Any] = self._sharded
        for part in parts:
            part.unshard()
        yield
        for part in parts:
            part.reshard()

    def tensors(self) -> dict[str, Tensor]:
        """Gathered, in every process."""
        return {name: _full(tensor.detach()) for name, tensor in self.net.state_dict().items()}

    def moments(self, optimiser: Optimiser) -> dict[str, Tensor]:
        """Gathered, in every process."""
        from torch.distributed.tensor import DTensor

        likes: list[Any] = optimiser.parameters()
        gathered = {}
        for name, part in optimiser.tensors().items():
            like = likes[int(name.rpartition(".")[2])]
            whole = part
            if part.shape == local(like).shape:
                mesh, placements = like.device_mesh, like.placements
                whole = DTensor.from_local(part, mesh, placements, shape=like.shape, stride=like.stride())
            gathered[name] = _full(whole)
        return gathered

    def restore(self, tensors: Mapping[str, Tensor], optimiser: Optimiser, moments: Mapping[str, Tensor]) -> None:
        """Each process takes its part of what was whole."""
        from torch.distributed.tensor import distribute_tensor

        def part(tensor: Tensor, like: Any) -> Tensor:
            if not hasattr(like, "device_mesh") or tensor.shape != like.shape:
                return tensor
            return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)

        state = self.net.state_dict()
        self.net.load_state_dict({name: part(tensor, state[name]) for name, tensor in tensors.items()})
        likes = optimiser.parameters()
        optimiser.restore(
            {name: local(part(tensor, likes[int(name.rpartition(".")[2])])) for name, tensor in moments.items()}
        )

    def gather(self) -> None:
        """Undo what fully_shard did to the net's modules: their classes, hooks and parameters."""
        tensors = self.tensors()
        for part, kind, hooks in self._before:
            part.__class__ = kind
            for name, before in hooks.items():
                now = getattr(part, name)
                for key in set(now) - set(before):
                    del now[key]
        for name, _ in list(self.net.named_parameters()):
            owner, _, attribute = name.rpartition(".")
            setattr(self.net.get_submodule(owner), attribute, nn.Parameter(tensors[name]))
        self._wrapped, self._sharded, self._before = None, [], []


def ranks(net: nn.Module) -> Alone:
    """The place of this process among those that train `net`."""
    if not several():
        return Alone(net)
    whole = sum(parameter.numel() for parameter in net.parameters()) < SHARD_PARAMETERS
    return Replicas(net) if whole else Shards(net)


def several() -> bool:
    """True in one of several processes that joined."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def leads() -> bool:
    """True in the process that writes results."""
    return not several() or torch.distributed.get_rank() == 0


def agree(wanted: bool) -> bool:
    """What the leading process wants; all must ask."""
    return wanted if not several() else bool(leader(float(wanted)))


def leader(value: float) -> float:
    """The leading process's value; all must ask."""
    if not several():
        return value
    said = torch.tensor(value, dtype=torch.float64)
    torch.distributed.broadcast(said, 0)
    return float(said)


def join() -> None:
    """Become one of the processes of `torch.distributed.run`, if it started this one."""
    if torch.cuda.is_available():
        torch.cuda.set_device(device())
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not several():
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")


def leave() -> None:
    """Wait for the others and part from them: a process that just ends may take its own threads down, and abort."""
    if several():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def device() -> torch.device:
    """The device that this process trains on."""
    place = int(os.environ.get("LOCAL_RANK", "0"))
    return torch.device("cuda", place) if torch.cuda.is_available() else torch.device("cpu")


def once_a_host(action: Callable[[], _Result]) -> _Result:
    """Do what finds itself done the second time: one process of each host first, then the others of the host."""
    first = int(os.environ.get("LOCAL_RANK", "0")) == 0
    result = action() if first else None
    if several():
        torch.distributed.barrier()
    return action() if result is None else result


def _bytes_of_leader(data: bytes) -> bytes:
    size = int(leader(len(data)))
    said = (
        torch.frombuffer(bytearray(data), dtype=torch.uint8)
        if leads() and size
        else torch.empty(size, dtype=torch.uint8)
    )
    torch.distributed.broadcast(said, 0)
    return said.numpy().tobytes()


def _full(tensor: Tensor) -> Tensor:
    whole: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return whole


def _hooks(part: nn.Module) -> dict[str, list[int]]:
    """The numbers of a module's hooks, by the dictionaries that hold them."""
    names = [name for name in vars(part) if "hooks" in name and isinstance(getattr(part, name), dict)]
    return {name: list(getattr(part, name)) for name in names}
