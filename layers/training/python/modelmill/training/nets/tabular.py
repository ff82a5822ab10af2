"""Numbers and categories in, raw outputs out: a linear map or a residual net over encoded columns."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn

from modelmill.training.nets.base import Net, Tensors

if TYPE_CHECKING:  # it imports onnx, which takes longer than most candidates to train
    from modelmill.training.graph import Graph

LIMIT = 10.0
"""Standardised numbers are cut at ± this many standard deviations."""
NUMBER_TENSORS = ("fill", "centre", "inverse_scale", "edges", "inverse_widths")


class Numbers(nn.Module):
    """Numbers [B, N] with NaN for missing → [B, N · (2 + T)]: standardised, missing flag, T piecewise-linear bins.

    Bins between quantiles (Gorishniy et al. 2022, "On Embeddings for Numerical Features") rise from 0 to 1 and stay,
    so a heavy tail or a huge value cannot blow up.
    """

    fill: Tensor
    centre: Tensor
    inverse_scale: Tensor
    edges: Tensor
    inverse_widths: Tensor

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        for name in ("fill", "centre", "inverse_scale", "edges", "inverse_widths"):
            self.register_buffer(name, tensors[name])

    def forward(self, numbers: Tensor) -> Tensor:
        """Encoded numbers."""
        missing = torch.isnan(numbers)
        filled = torch.where(missing, self.fill, numbers)
        standard = ((filled - self.centre) * self.inverse_scale).clamp(-LIMIT, LIMIT)
        bins = ((filled[:, :, None] - self.edges) * self.inverse_widths).clamp(0, 1)
        return torch.cat([standard, missing.to(numbers.dtype), bins.flatten(1)], dim=1)

    def export(self, graph: Graph, numbers: str) -> str:
        """`forward`."""
        missing = graph.op("IsNaN", [numbers])
        filled = graph.op("Where", [missing, graph.constant(self.fill), numbers])
        centred = graph.op("Sub", [filled, graph.constant(self.centre)])
        scaled = graph.op("Mul", [centred, graph.constant(self.inverse_scale)])
        standard = graph.op("Clip", [scaled, graph.constant(-LIMIT), graph.constant(LIMIT)])
        over = graph.op("Sub", [graph.op("Unsqueeze", [filled, graph.constant([2])]), graph.constant(self.edges)])
        risen = graph.op("Mul", [over, graph.constant(self.inverse_widths)])
        bins = graph.op("Clip", [risen, graph.constant(0.0), graph.constant(1.0)])
        flag = graph.op("Cast", [missing], to=1)  # FLOAT
        return graph.op("Concat", [standard, flag, graph.op("Flatten", [bins], axis=1)], axis=1)

    @property
    def width(self) -> int:
        """Columns of the result."""
        return int(self.fill.shape[0] * 2 + self.edges.numel())


class Block(nn.Module):
    """Pre-norm residual block, as in the ResNet of Gorishniy et al. 2021."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.up = nn.Linear(hidden, hidden * 2)
        self.down = nn.Linear(hidden * 2, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, state: Tensor) -> Tensor:
        """[B, hidden] → [B, hidden]."""
        inner = self.dropout(torch.relu(self.up(self.norm(state))))
        moved: Tensor = state + self.dropout(self.down(inner))
        return moved

    def export(self, graph: Graph, state: str) -> str:
        """`forward`."""
        inner = graph.op("Relu", [graph.linear(self.up, graph.layer_norm(self.norm, state))])
        return graph.op("Add", [state, graph.linear(self.down, inner)])


class TabularNet(Net):
    """Encoded numbers and one row of `table` [sum of (values + 1), D] per category column.

    With `blocks` the parts are concatenated into a residual net; without, D = classes and the category rows are
    added to a linear map of the numbers, which is multinomial logistic regression on one-hot categories.
    """

    kind: ClassVar[str] = "tabular"
    starts: Tensor

    def __init__(
        self, tensors: Tensors, outputs: int, *, width: int, hidden: int = 0, blocks: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.numbers = Numbers({name: tensors[f"numbers.{name}"] for name in NUMBER_TENSORS})
        self.register_buffer("starts", tensors["starts"])
        self.table = nn.Parameter(torch.zeros(int(tensors["sizes"].sum()), width))
        self.register_buffer("sizes", tensors["sizes"])
        inputs = self.numbers.width + (len(self.starts) * width if blocks else 0)
        self.enter = nn.Linear(inputs, hidden) if blocks else None
        self.blocks = nn.ModuleList(Block(hidden, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(hidden) if blocks else None
        with warnings.catch_warnings():
            # A table of categories alone has no numbers: a linear map of nothing plus a bias.
            warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
            self.leave = nn.Linear(hidden if blocks else inputs, outputs)

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:  # noqa: ARG003 - all of it is in the tensors
        """The net that has these tensors."""
        outputs, last = tensors["leave.weight"].shape
        blocks = sum(name.endswith(".up.weight") for name in tensors)
        net = cls(tensors, outputs, width=tensors["table"].shape[1], hidden=last if blocks else 0, blocks=blocks)
        net.load_state_dict(dict(tensors))
        return net

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Raw outputs; `numbers` float32 [B, N], `categories` int64 [B, C]."""
        encoded, rows = self.numbers(numbers), self.table[categories + self.starts]
        if self.enter is None or self.norm is None:
            outputs: Tensor = self.leave(encoded) + rows.sum(dim=1)
        else:
            state = self.enter(torch.cat([encoded, rows.flatten(1)], dim=1))
            for block in self.blocks:
                state = block(state)
            outputs = self.leave(torch.relu(self.norm(state)))
        return outputs

    def export(self, graph: Graph) -> str:
        """`forward`; a kind of column that the data do not have has an input of width 0 and no nodes."""
        width, columns = len(self.numbers.fill), len(self.starts)
        numbers, categories = graph.input("numbers", "FLOAT", width), graph.input("categories", "INT64", columns)
        encoded = [self.numbers.export(graph, numbers)] if width else []
        rows = []
        if columns:
            places = graph.op("Add", [categories, graph.constant(self.starts)])
            rows = [graph.op("Gather", [graph.constant(self.table, "table"), places])]
        if self.enter is None or self.norm is None:
            linear = [graph.op("ReduceSum", [part, graph.constant([1])], keepdims=0) for part in rows]
            products = [graph.op("MatMul", [part, graph.constant(self.leave.weight.T)]) for part in encoded]
            return graph.op("Sum", [*products, *linear, graph.constant(self.leave.bias)])
        joined = graph.op("Concat", [*encoded, *(graph.op("Flatten", [part], axis=1) for part in rows)], axis=1)
        state = graph.linear(self.enter, joined)
        for block in self.blocks:
            if isinstance(block, Block):
                state = block.export(graph, state)
        return graph.linear(self.leave, graph.op("Relu", [graph.layer_norm(self.norm, state)]))
