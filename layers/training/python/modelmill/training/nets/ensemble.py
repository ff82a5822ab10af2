"""Several trained models as one net: the arrays of their parts in, outputs whose answers are the mix of theirs out.

Probabilities are mixed, not logits (Caruana et al. 2004), each by its own calibration: the outputs are the logarithm of
the mixed probabilities (of tags: their log odds; a measure: the mean in its own unit), so that the model's activation
gives back the mix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from modelmill.core.model.task import Answers
from modelmill.training.nets.base import Net, Tensors
from modelmill.training.objective import Calibration

if TYPE_CHECKING:  # it imports onnx, which takes longer than most candidates to train
    from modelmill.training.graph import Graph

_LEAST = 1e-30
"""Probability whose logarithm is still taken: well inside float32."""


class Member(NamedTuple):
    """How a net takes part: its calibration, its weight, and the part of the features that it reads."""

    calibration: Calibration
    weight: float
    part: str


class EnsembleNet(Net):
    """A weighted mix of nets; weights sum to 1. Members of one part read the same arrays, `{part}.{name}`."""

    kind: ClassVar[str] = "ensemble"

    def __init__(self, answers: Answers, nets: Sequence[Net], members: Sequence[Member]) -> None:
        super().__init__()
        self.answers, self.nets, self.members = answers, nn.ModuleList(nets), tuple(members)

    def config(self) -> dict[str, Any]:
        """The answers, and of each member its net's own config, calibration, weight and part."""
        from modelmill.training.nets import config_of  # the registry knows this net too

        members = [
            {
                "net": config_of(net),
                "scale": member.calibration.scale,
                "shift": member.calibration.shift,
                "weight": member.weight,
                "part": member.part,
            }
            for net, member in self._pairs()
        ]
        return {"answers": self.answers, "members": members}

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:
        """The ensemble that was described so and whose members have these tensors."""
        from modelmill.training.nets import net_of

        nets, members = [], []
        for index, each in enumerate(config["members"]):
            prefix = f"nets.{index}."
            own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            nets.append(net_of(each["net"], own))
            members.append(Member(Calibration(each["scale"], each["shift"]), each["weight"], each["part"]))
        return cls(config["answers"], nets, members)

    def forward(self, **arrays: Tensor) -> Tensor:
        """Outputs float32 [B, K] of the arrays of all parts."""
        outputs = []
        for net, member in self._pairs():
            prefix = f"{member.part}."
            own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            outputs.append(net(**own) * member.calibration.scale + member.calibration.shift)
        return mixed(self.answers, outputs, [member.weight for member in self.members])

    def export(self, graph: Graph) -> str:
        """`forward`."""
        outputs = []
        for net, member in self._pairs():
            with graph.part(f"{member.part}."):
                raw = net.export(graph)
            scaled = graph.op("Mul", [raw, graph.constant(float(member.calibration.scale))])
            outputs.append(graph.op("Add", [scaled, graph.constant(float(member.calibration.shift))]))
        weights = [member.weight for member in self.members]
        if self.answers == "regression":
            return _sum(graph, outputs, weights)
        if self.answers == "classification":
            return _log(graph, _sum(graph, [graph.op("Softmax", [each], axis=1) for each in outputs], weights))
        some = _sum(graph, [graph.op("Sigmoid", [each]) for each in outputs], weights)
        none = _sum(graph, [graph.op("Sigmoid", [graph.op("Neg", [each])]) for each in outputs], weights)
        return graph.op("Sub", [_log(graph, some), _log(graph, none)])

    def _pairs(self) -> list[tuple[Net, Member]]:
        return [(net, member) for net, member in zip(self.nets, self.members, strict=True) if isinstance(net, Net)]


def mixed(answers: Answers, outputs: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Outputs [n, K] whose answers are the weighted mean of the answers of calibrated `outputs`, each [n, K]."""

    def mean(of: Sequence[Tensor]) -> Tensor:
        return torch.stack([each * weight for each, weight in zip(of, weights, strict=True)]).sum(dim=0)

    if answers == "regression":
        return mean(outputs)
    if answers == "classification":
        return mean([torch.softmax(each, dim=1) for each in outputs]).clamp(min=_LEAST).log()
    some, none = mean([torch.sigmoid(each) for each in outputs]), mean([torch.sigmoid(-each) for each in outputs])
    return some.clamp(min=_LEAST).log() - none.clamp(min=_LEAST).log()


def _sum(graph: Graph, outputs: Sequence[str], weights: Sequence[float]) -> str:
    weighted = [graph.op("Mul", [each, graph.constant(float(w))]) for each, w in zip(outputs, weights, strict=True)]
    return graph.op("Sum", weighted)


def _log(graph: Graph, probabilities: str) -> str:
    return graph.op("Log", [graph.op("Max", [probabilities, graph.constant(_LEAST)])])
