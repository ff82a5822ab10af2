"""What every net is: arrays of a batch in, raw outputs float32 [B, K] out, in torch and, by `export`, in ONNX.

Everything that was fitted is a named tensor and everything else is in `config`, so that a net is rebuilt from
`weights.safetensors` and `net.json` alone. `forward` and `export` say the same arithmetic and stand side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import Tensor, nn

if TYPE_CHECKING:  # it imports onnx, which takes longer than most candidates to train
    from modelmill.training.graph import Graph


Tensors = Mapping[str, Tensor]
TINY = 1e-12


class Net(nn.Module):
    """Base of all nets. `kind` is its name in `net.json`."""

    kind: ClassVar[str]

    def config(self) -> dict[str, Any]:
        """What `of` needs beside the tensors, as JSON values."""
        return {}

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:
        """The net that was described so and has these tensors (its state_dict)."""
        raise NotImplementedError

    def export(self, graph: Graph) -> str:
        """Add inputs and nodes to the graph; the name of the raw outputs float32 [rows, K]."""
        raise NotImplementedError

    def pruned(self, share: float, preprocess: dict[str, Any]) -> tuple[Net, dict[str, Any]] | None:  # noqa: ARG002
        """A net with about this share of its n-grams, those that matter most; None for what has no vocabulary to prune.

        Its preprocessing comes with it: what was left out need not be looked up.
        """
        return None

    def parameters_count(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.parameters())
