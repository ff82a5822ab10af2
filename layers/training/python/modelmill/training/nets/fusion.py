"""Texts, numbers and categories of a row in, raw outputs out: nets of several kinds side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn

from modelmill.training.nets.base import Net, Tensors
from modelmill.training.nets.ngram import NgramNet
from modelmill.training.nets.tabular import TabularNet

if TYPE_CHECKING:  # it imports onnx, which takes longer than most candidates to train
    from modelmill.training.graph import Graph

_PARTS: dict[str, type[NgramNet | TabularNet]] = {"text": NgramNet, "table": TabularNet}


class FusionNet(Net):
    """The sum of its parts' raw outputs. The arrays of a part are named `{part}.{name}`.

    Of linear parts this is one linear model of all that they read; their biases add up.
    """

    kind: ClassVar[str] = "fusion-linear"

    def __init__(self, parts: Mapping[str, Net]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:  # noqa: ARG003 - all of it is in the tensors
        """The net whose parts have these tensors."""
        parts: dict[str, Net] = {}
        for name, kind in _PARTS.items():
            own = _under(tensors, f"parts.{name}.")
            if own:
                parts[name] = kind.of({}, own)
        return cls(parts)

    def forward(self, **arrays: Tensor) -> Tensor:
        """Raw outputs of the arrays of all parts."""
        return torch.stack([part(**_under(arrays, f"{name}.")) for name, part in self.parts.items()]).sum(0)

    def export(self, graph: Graph) -> str:
        """`forward`."""
        outputs = []
        for name, part in self.parts.items():
            if isinstance(part, Net):
                with graph.part(f"{name}."):
                    outputs.append(part.export(graph))
        return graph.op("Sum", outputs)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
