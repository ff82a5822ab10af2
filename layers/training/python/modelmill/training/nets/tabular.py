"""Numbers and categories in, raw outputs out: a linear map, or an ensemble of nets that share weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn

from modelmill.training.nets.base import Net, Tensors

if TYPE_CHECKING:  # it imports onnx, which takes longer than most candidates to train
    from modelmill.training.graph import Graph

LIMIT = 10.0
"""Standardised numbers are cut at ± this many standard deviations, if a family does not say otherwise."""
NUMBER_TENSORS = ("fill", "centre", "inverse_scale", "limit", "edges", "inverse_widths")


class Numbers(nn.Module):
    """Numbers [B, N] with NaN for missing → [B, N, 2 + T]: standardised, missing flag, T piecewise-linear bins.

    Bins between quantiles (Gorishniy et al. 2022, "On Embeddings for Numerical Features") rise from 0 to 1 and stay,
    so a heavy tail or a huge value cannot blow up.
    """

    fill: Tensor
    centre: Tensor
    inverse_scale: Tensor
    limit: Tensor
    edges: Tensor
    inverse_widths: Tensor

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        for name in NUMBER_TENSORS:
            self.register_buffer(name, tensors[name])

    @property
    def shape(self) -> tuple[int, int]:
        """N and 2 + T."""
        return len(self.fill), 2 + self.edges.shape[1]

    def forward(self, numbers: Tensor) -> Tensor:
        """Encoded numbers."""
        missing = torch.isnan(numbers)
        filled = torch.where(missing, self.fill, numbers)
        standard = ((filled - self.centre) * self.inverse_scale).clamp(-self.limit, self.limit)
        bins = ((filled[:, :, None] - self.edges) * self.inverse_widths).clamp(0, 1)
        return torch.cat([standard[:, :, None], missing[:, :, None].to(numbers.dtype), bins], dim=2)

    def export(self, graph: Graph, numbers: str) -> str:
        """`forward`."""
        last = graph.constant([2])
        missing = graph.op("IsNaN", [numbers])
        filled = graph.op("Where", [missing, graph.constant(self.fill), numbers])
        centred = graph.op("Sub", [filled, graph.constant(self.centre)])
        scaled = graph.op("Mul", [centred, graph.constant(self.inverse_scale)])
        standard = graph.op("Clip", [scaled, graph.constant(-self.limit), graph.constant(self.limit)])
        parts = [graph.op("Unsqueeze", [part, last]) for part in (standard, graph.op("Cast", [missing], to=1))]
        if self.edges.shape[1]:
            over = graph.op("Sub", [graph.op("Unsqueeze", [filled, last]), graph.constant(self.edges)])
            risen = graph.op("Mul", [over, graph.constant(self.inverse_widths)])
            parts.append(graph.op("Clip", [risen, graph.constant(0.0), graph.constant(1.0)]))
        return graph.op("Concat", parts, axis=2)


class _Table(Net):
    """What both nets read: encoded numbers, and one row of `table` [sum of (values + 1), D] per category column."""

    starts: Tensor

    def __init__(self, tensors: Tensors, width: int) -> None:
        super().__init__()
        self.numbers = Numbers({name: tensors[f"numbers.{name}"] for name in NUMBER_TENSORS})
        self.register_buffer("starts", tensors["starts"])
        self.register_buffer("sizes", tensors["sizes"])
        self.table = nn.Parameter(torch.zeros(int(tensors["sizes"].sum()), width))

    def _read(self, graph: Graph) -> tuple[str | None, str | None]:
        """Encoded numbers and rows of the table; a kind of column that the data lack is an input without nodes."""
        width, columns = len(self.numbers.fill), len(self.starts)
        numbers, categories = graph.input("numbers", "FLOAT", width), graph.input("categories", "INT64", columns)
        encoded = self.numbers.export(graph, numbers) if width else None
        if not columns:
            return encoded, None
        places = graph.op("Add", [categories, graph.constant(self.starts)])
        return encoded, graph.op("Gather", [graph.constant(self.table, "table"), places])


class TabularNet(_Table):
    """A linear map of encoded numbers and one-hot categories."""

    kind: ClassVar[str] = "tabular"

    def __init__(self, tensors: Tensors, outputs: int) -> None:
        super().__init__(tensors, outputs)
        count, each = self.numbers.shape
        self.weight = nn.Parameter(torch.zeros(count * each, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:  # noqa: ARG003 - all of it is in the tensors
        """The net that has these tensors."""
        net = cls(tensors, len(tensors["bias"]))
        net.load_state_dict(dict(tensors))
        return net

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Raw outputs; `numbers` float32 [B, N], `categories` int64 [B, C]."""
        outputs: Tensor = self.numbers(numbers).flatten(1) @ self.weight + self.bias
        return outputs + self.table[categories + self.starts].sum(dim=1)

    def export(self, graph: Graph) -> str:
        """`forward`."""
        encoded, rows = self._read(graph)
        parts = [graph.constant(self.bias)]
        if encoded is not None:
            flat = graph.op("Flatten", [encoded], axis=1)
            parts.append(graph.op("MatMul", [flat, graph.constant(self.weight)]))
        if rows is not None:
            parts.append(graph.op("ReduceSum", [rows, graph.constant([1])], keepdims=0))
        return graph.op("Sum", parts)


class Layer(nn.Module):
    """A linear layer of M members that share its weight [H, D] (Wen et al. 2020, "BatchEnsemble") and a ReLU.

    What is a member's own scales inputs [M, D] and outputs [M, H], and shifts them.
    """

    def __init__(self, members: int, inputs: int, outputs: int, *, first: bool) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        # The first layer's random signs part the members; behind it they begin alike (Gorishniy et al. 2024, §3.3).
        signs = torch.randint(0, 2, (members, inputs)).float() * 2 - 1
        self.scale = nn.Parameter(signs if first else torch.ones(members, inputs))
        self.gain = nn.Parameter(torch.ones(members, outputs))
        self.bias = nn.Parameter(torch.empty(members, outputs).uniform_(-bound, bound))

    def forward(self, state: Tensor) -> Tensor:
        """[B, M or 1, D] → [B, M, H]."""
        return torch.relu((state * self.scale) @ self.weight.T * self.gain + self.bias)

    def export(self, graph: Graph, state: str) -> str:
        """`forward`."""
        scaled = graph.op("Mul", [state, graph.constant(self.scale)])
        product = graph.op("MatMul", [scaled, graph.constant(self.weight.T)])
        gained = graph.op("Mul", [product, graph.constant(self.gain)])
        return graph.op("Relu", [graph.op("Add", [gained, graph.constant(self.bias)])])


class TabMNet(_Table):
    """TabM (Gorishniy et al. 2024): M nets that share weights, each with a head of its own; their mean answers.

    Each number has an embedding of its own, linear in its encoding. The mean is of raw outputs, so that all heads are
    one matrix where the net is served.
    """

    kind: ClassVar[str] = "tabm"

    def __init__(self, tensors: Tensors, outputs: int, *, dim: int, width: int, layers: int, members: int) -> None:
        super().__init__(tensors, dim)
        self.sizes_said = {"dim": dim, "width": width, "layers": layers, "members": members}
        count, each = self.numbers.shape
        self.embedding = nn.Parameter(torch.zeros(count, each, dim))
        inputs = [(count + len(self.starts)) * dim, *[width] * (layers - 1)]
        self.layers = nn.ModuleList(Layer(members, size, width, first=place == 0) for place, size in enumerate(inputs))
        self.heads = nn.Parameter(torch.empty(members, width, outputs).uniform_(-(width**-0.5), width**-0.5))
        self.bias = nn.Parameter(torch.zeros(members, outputs))
        nn.init.normal_(self.table, std=0.3)
        nn.init.uniform_(self.embedding[:, 0], -1, 1)

    def config(self) -> dict[str, Any]:
        """Its sizes."""
        return {**self.sizes_said, "outputs": self.bias.shape[1]}

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:
        """The net of these sizes that has these tensors."""
        sizes = {name: config[name] for name in ("dim", "width", "layers", "members")}
        net = cls(tensors, config["outputs"], **sizes)
        net.load_state_dict(dict(tensors))
        return net

    def body(self, numbers: Tensor, categories: Tensor, dropout: float = 0.0) -> Tensor:
        """What the members make of a row: [B, M, width]."""
        embedded = torch.einsum("bne,ned->bnd", self.numbers(numbers), self.embedding)
        rows = self.table[categories + self.starts]
        state = torch.cat([embedded, rows], dim=1).flatten(1)[:, None]
        for layer in self.layers:
            state = nn.functional.dropout(layer(state), dropout, self.training)
        return state

    def members(self, numbers: Tensor, categories: Tensor, dropout: float) -> Tensor:
        """Raw outputs of each member [B, M, K], to learn from."""
        return torch.einsum("bmw,mwk->bmk", self.body(numbers, categories, dropout), self.heads) + self.bias

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Raw outputs; `numbers` float32 [B, N], `categories` int64 [B, C]."""
        return self.body(numbers, categories).flatten(1) @ self._head() + self.bias.mean(0)

    def _head(self) -> Tensor:
        return self.heads.flatten(0, 1) / len(self.heads)

    def export_body(self, graph: Graph) -> str:
        """`body`, flat: [B, M · width]."""
        encoded, rows = self._read(graph)
        parts = [] if rows is None else [rows]
        if encoded is not None:
            by_number = graph.op("Transpose", [encoded], perm=[1, 0, 2])
            product = graph.op("MatMul", [by_number, graph.constant(self.embedding)])
            parts.insert(0, graph.op("Transpose", [product], perm=[1, 0, 2]))
        state = graph.op("Flatten", [graph.op("Concat", parts, axis=1)], axis=1)
        state = graph.op("Unsqueeze", [state, graph.constant([1])])
        for layer in self.layers:
            if isinstance(layer, Layer):
                state = layer.export(graph, state)
        return graph.op("Flatten", [state], axis=1)

    def export(self, graph: Graph) -> str:
        """`forward`."""
        product = graph.op("MatMul", [self.export_body(graph), graph.constant(self._head())])
        return graph.op("Add", [product, graph.constant(self.bias.mean(0))])
