"""Pieces of words in, raw outputs or sentence embeddings out: a transformer encoder of the BERT family.

One net for BERT, RoBERTa and DistilBERT (Devlin et al. 2019; Liu et al. 2019; Sanh et al. 2019): what they differ in,
names, segments and where positions begin, is settled when weights are read (`pretrained`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelmill.training.nets.base import TINY, Net, Tensors

if TYPE_CHECKING:  # it imports onnx, which takes longer than most candidates to train
    from modelmill.training.graph import Graph

Pooling = Literal["mean", "cls"]
_HIDDEN = -1e4
"""Added to the attention score of padding: its share becomes exactly 0 in float32, and is a number in 16 bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Sizes of an encoder, and how a row's pieces become one vector: their mean, or the first one."""

    words: int
    places: int
    width: int
    layers: int
    heads: int
    inner: int
    pad: int
    epsilon: float
    pooling: Pooling


class Layer(nn.Module):
    """Self-attention and two linear maps, each added to its input and normalised after (post-LN)."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, dropout
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.mix = nn.Linear(shape.width, shape.width)
        self.mix_norm = nn.LayerNorm(shape.width, shape.epsilon)
        self.widen = nn.Linear(shape.width, shape.inner)
        self.narrow = nn.Linear(shape.inner, shape.width)
        self.narrow_norm = nn.LayerNorm(shape.width, shape.epsilon)

    def forward(self, state: Tensor, mask: Tensor) -> Tensor:
        """[B, L, H] → [B, L, H]; `mask` [B, 1, 1, L] is True where there is a piece."""
        rows, length, width = state.shape
        q, k, v = self.qkv(state).view(rows, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = _attend(q, k, v, mask)
        state = self.mix_norm(state + self._drop(self.mix(mixed.transpose(1, 2).reshape(rows, length, width))))
        return self.narrow_norm(state + self._drop(self.narrow(functional.gelu(self.widen(state)))))  # type: ignore[no-any-return]

    def _drop(self, state: Tensor) -> Tensor:
        return functional.dropout(state, self.dropout, self.training)

    def export(self, graph: Graph, state: str, bias: str) -> str:
        """`forward`; `bias` [B, 1, 1, L] is added to attention scores."""
        width = self.mix.in_features
        heads = graph.constant([0, 0, 3, self.heads, width // self.heads])
        qkv = graph.op("Reshape", [graph.linear(self.qkv, state), heads])
        q, k, v = (self._part(graph, qkv, part, perm) for part, perm in ((0, _ROWS), (1, _COLUMNS), (2, _ROWS)))
        scores = graph.op("Mul", [graph.op("MatMul", [q, k]), graph.constant(math.sqrt(self.heads / width))])
        shares = graph.op("Softmax", [graph.op("Add", [scores, bias])], axis=-1)
        mixed = graph.op("Transpose", [graph.op("MatMul", [shares, v])], perm=_ROWS)
        joined = graph.op("Reshape", [mixed, graph.constant([0, 0, width])])
        state = graph.layer_norm(self.mix_norm, graph.op("Add", [state, graph.linear(self.mix, joined)]))
        inner = _gelu(graph, graph.linear(self.widen, state))
        return graph.layer_norm(self.narrow_norm, graph.op("Add", [state, graph.linear(self.narrow, inner)]))

    def _part(self, graph: Graph, qkv: str, part: int, perm: list[int]) -> str:
        """One of queries, keys and values [B, L, 3, heads, D], as [B, heads, L, D] or [B, heads, D, L]."""
        cut = graph.op("Slice", [qkv, *(graph.constant([number]) for number in (part, part + 1, 2))])
        return graph.op("Transpose", [graph.op("Squeeze", [cut, graph.constant([2])])], perm=perm)


_ROWS, _COLUMNS = [0, 2, 1, 3], [0, 2, 3, 1]


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Softmax(q · kᵀ / √D) · v of [B, heads, L, D], without what the mask hides.

    Written out on a CPU, where the backward pass of torch's fused kernel takes a third of a whole step.
    """
    if q.is_cuda:
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return torch.softmax(scores.masked_fill(~mask, _HIDDEN), dim=-1) @ v


def _gelu(graph: Graph, state: str) -> str:
    """Half of x · (1 + erf(x / √2)): opset 18 has no Gelu, and onnxruntime knows this pattern for one."""
    erf = graph.op("Erf", [graph.op("Div", [state, graph.constant(math.sqrt(2))])])
    doubled = graph.op("Mul", [state, graph.op("Add", [erf, graph.constant(1.0)])])
    return graph.op("Mul", [doubled, graph.constant(0.5)])


class EncoderNet(Net):
    """An encoder with a linear head on the pooled state; without one it gives L2-normalised sentence embeddings."""

    kind: ClassVar[str] = "encoder"

    def __init__(self, shape: Shape, outputs: int | None, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape, self.dropout = shape, dropout
        self.words = nn.Embedding(shape.words, shape.width)
        self.places = nn.Embedding(shape.places, shape.width)
        self.norm = nn.LayerNorm(shape.width, shape.epsilon)
        self.layers = nn.ModuleList(Layer(shape, dropout) for _ in range(shape.layers))
        self.head = None if outputs is None else nn.Linear(shape.width, outputs)

    def config(self) -> dict[str, Any]:
        """The shape."""
        return asdict(self.shape)

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:
        """The net of that shape with these tensors; it has a head if they hold one."""
        head = tensors.get("head.weight")
        shape = Shape(**{name: value for name, value in config.items() if name != "kind"})
        with torch.device("meta"):
            net = cls(shape, None if head is None else head.shape[0])
        net.load_state_dict(dict(tensors), assign=True)
        return net

    def forward(self, ids: Tensor) -> Tensor:
        """Raw outputs [B, K], or embeddings [B, H], of `ids` int64 [B, L], `pad` where a row has no more pieces."""
        known = ids != self.shape.pad
        state = self.words(ids) + self.places.weight[: ids.shape[1]]
        state = functional.dropout(self.norm(state), self.dropout, self.training)
        for layer in self.layers:
            state = layer(state, known[:, None, None])
        pooled = state[:, 0] if self.shape.pooling == "cls" else _mean(state, known)
        if self.head is None:
            return functional.normalize(pooled, dim=1, eps=TINY)
        raw: Tensor = self.head(functional.dropout(pooled, self.dropout, self.training))
        return raw

    def export(self, graph: Graph) -> str:
        """`forward`."""
        ids = graph.input("ids", "INT64", "length")
        padding = graph.op("Equal", [ids, graph.constant([self.shape.pad])])
        absent = graph.op(
            "Cast",
            [padding],
            to=1,
        )
        bias = graph.op("Unsqueeze", [graph.op("Mul", [absent, graph.constant(_HIDDEN)]), graph.constant([1, 2])])
        length = graph.op("Slice", [graph.op("Shape", [ids]), graph.constant([1]), graph.constant([2])])
        table = graph.constant(self.places.weight, "places")
        places = graph.op("Slice", [table, graph.constant([0]), length])
        words = graph.op("Gather", [graph.constant(self.words.weight, "words"), ids])
        state = graph.layer_norm(self.norm, graph.op("Add", [words, places]))
        for layer in self.layers:
            state = layer.export(graph, state, bias)  # type: ignore[operator]
        pooled = self._pool(graph, state, absent)
        if self.head is None:
            norm = graph.op("ReduceL2", [pooled, graph.constant([1])], keepdims=1)
            return graph.op("Div", [pooled, graph.op("Max", [norm, graph.constant(TINY)])])
        return graph.linear(self.head, pooled)

    def _pool(self, graph: Graph, state: str, absent: str) -> str:
        if self.shape.pooling == "cls":
            first = graph.op("Slice", [state, *(graph.constant([number]) for number in (0, 1, 1))])
            return graph.op("Squeeze", [first, graph.constant([1])])
        known = graph.op("Unsqueeze", [graph.op("Sub", [graph.constant(1.0), absent]), graph.constant([2])])
        total = graph.op("ReduceSum", [graph.op("Mul", [state, known]), graph.constant([1])], keepdims=0)
        return graph.op("Div", [total, graph.op("ReduceSum", [known, graph.constant([1])], keepdims=0)])


def _mean(state: Tensor, known: Tensor) -> Tensor:
    """Mean over a row's pieces."""
    weights = known[..., None].to(state.dtype)
    return (state * weights).sum(1) / weights.sum(1)
