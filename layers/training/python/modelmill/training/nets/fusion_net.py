"""Texts, tables, images and sounds of a row in, raw outputs out: a vector from each, and one small net over all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelmill.training.nets.base import Net, Tensors
from modelmill.training.nets.convolutional import ImageNet
from modelmill.training.nets.ngram import NgramNet
from modelmill.training.nets.spectrogram import AudioNet
from modelmill.training.nets.tabular import TabularNet

if TYPE_CHECKING:  # it imports onnx, which takes longer than most candidates to train
    from modelmill.training.graph import Graph

PARTS: dict[str, type[Net]] = {"text": NgramNet, "table": TabularNet, "image": ImageNet, "audio": AudioNet}
"""What there can be, in the order in which their vectors stand side by side."""
_HIDDEN = 64
_DROPOUT = 0.2


class PartsNet(Net):
    """Nets whose raw outputs are features: side by side through a linear map, plus a hidden layer.

    The linear map lets each part learn as it would alone, the hidden layer what only several of them tell. Each part
    gives `width` features. What a row lacks is what its part makes of nothing: no n-gram, the flag of a
    missing number, a black image or silence, each of which the net learns the meaning of. The arrays of a part are
    named `{part}.{name}`.
    """

    kind: ClassVar[str] = "fusion"

    def __init__(self, parts: Mapping[str, Net], width: int, outputs: int) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({name: parts[name] for name in PARTS if name in parts})
        self.width = width
        self.join = nn.Linear(width * len(self.parts), _HIDDEN)
        self.direct = nn.Linear(width * len(self.parts), outputs)
        self.leave = nn.Linear(_HIDDEN, outputs)

    def config(self) -> dict[str, Any]:
        """The features of a part, and what each part says of itself."""
        parts = {name: part.config() for name, part in self.parts.items() if isinstance(part, Net)}
        return {"width": self.width, "parts": parts}

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:
        """The net whose parts are described so and have these tensors."""
        parts = {
            name: PARTS[name].of(said, _under(tensors, f"parts.{name}.")) for name, said in config["parts"].items()
        }
        net = cls(parts, config["width"], len(tensors["leave.bias"]))
        net.load_state_dict(dict(tensors))
        return net

    def forward(self, **arrays: Tensor) -> Tensor:
        """Raw outputs of the arrays of all parts."""
        return self.answer([part(**_under(arrays, f"{name}.")) for name, part in self.parts.items()])

    def answer(self, features: Sequence[Tensor]) -> Tensor:
        """Raw outputs of each part's features [B, width], in the order of `parts`."""
        state = torch.cat(list(features), dim=1)
        hidden = torch.relu(self.join(functional.dropout(torch.relu(state), _DROPOUT, self.training)))
        outputs: Tensor = self.direct(state) + self.leave(hidden)
        return outputs

    def export(self, graph: Graph) -> str:
        """`forward`."""
        features = []
        for name, part in self.parts.items():
            if isinstance(part, Net):
                with graph.part(f"{name}."):
                    features.append(part.export(graph))
        state = graph.op("Concat", features, axis=1)
        hidden = graph.op("Relu", [graph.linear(self.join, graph.op("Relu", [state]))])
        return graph.op("Add", [graph.linear(self.direct, state), graph.linear(self.leave, hidden)])


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
