"""N-gram counts of texts in, raw outputs out: a TF-IDF weighted sum of rows of a table, with or without a head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelmill.training.nets.base import TINY, Net, Tensors

if TYPE_CHECKING:  # it imports onnx, which takes longer than most candidates to train
    from modelmill.training.graph import Graph


class NgramNet(Net):
    """Weighted sum of n-gram rows of `table` [V + 1, D]; with a hidden layer's `head` it is an embedding model.

    Weights are (1 + ln count) · idf, L2-normalised over the row (Manning et al. 2008, §6.4: "ltc"); `idf` [V + 1] may
    hold more than that, such as what an n-gram tells of the classes. `share` [V + 1] is that of the rows which hold the
    n-gram: pruning goes by it, and no answer does.
    """

    kind: ClassVar[str] = "ngram"
    idf: Tensor
    share: Tensor

    def __init__(self, idf: Tensor, width: int, outputs: int | None, share: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("idf", idf)
        self.register_buffer("share", torch.ones_like(idf) if share is None else share)
        self.table = nn.Parameter(torch.zeros(len(idf), width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.head = None if outputs is None else nn.Linear(width, outputs)

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:  # noqa: ARG003 - all of it is in the tensors
        """The net that has these tensors."""
        head = tensors.get("head.weight")
        net = cls(tensors["idf"], tensors["table"].shape[1], None if head is None else head.shape[0])
        net.load_state_dict(dict(tensors))
        return net

    def bags(self, ids: Tensor, weights: Tensor, offsets: Tensor) -> Tensor:
        """Raw outputs of rows given one after the other: row i is `ids[offsets[i]:offsets[i + 1]]`."""
        offsets = offsets.to(ids.dtype)
        pooled = functional.embedding_bag(ids, self.table, offsets, mode="sum", per_sample_weights=weights)
        hidden = pooled + self.bias
        outputs: Tensor = hidden if self.head is None else self.head(torch.relu(hidden))
        return outputs

    def forward(self, ids: Tensor, counts: Tensor) -> Tensor:
        """Raw outputs of padded rows: `ids` int64 [B, L], `counts` float32 [B, L], 0 = padding (its idf is 0)."""
        weights = (1 + torch.log(counts.clamp(min=1))) * self.idf[ids]
        weights = weights / weights.norm(dim=1, keepdim=True).clamp(min=TINY)
        offsets = torch.arange(ids.shape[0], device=ids.device) * ids.shape[1]
        return self.bags(ids.flatten(), weights.flatten(), offsets)

    def export(self, graph: Graph) -> str:
        """`forward`."""
        ids, counts = graph.input("ids", "INT64", "length"), graph.input("counts", "FLOAT", "length")
        one = graph.constant(1.0)
        frequency = graph.op("Add", [graph.op("Log", [graph.op("Max", [counts, one])]), one])
        raw = graph.op("Mul", [frequency, graph.op("Gather", [graph.constant(self.idf, "idf"), ids])])
        norm = graph.op("ReduceL2", [raw, graph.constant([1])], keepdims=1)
        weights = graph.op("Div", [raw, graph.op("Max", [norm, graph.constant(TINY)])])
        rows = graph.op("Gather", [graph.constant(self.table, "table"), ids])
        pooled = graph.op("MatMul", [graph.op("Unsqueeze", [weights, graph.constant([1])]), rows])
        hidden = graph.op("Add", [graph.op("Squeeze", [pooled, graph.constant([1])]), graph.constant(self.bias)])
        return hidden if self.head is None else graph.linear(self.head, graph.op("Relu", [hidden]))

    def pruned(self, share: float, preprocess: dict[str, Any]) -> tuple[Net, dict[str, Any]]:
        """That share of the n-grams."""
        return prune(self, preprocess, share)


def kept(net: NgramNet, preprocess: Mapping[str, Any], numbers: Tensor) -> tuple[dict[str, Any], NgramNet]:
    """Preprocessing and net that know only the n-grams with those numbers (1 and above, ascending)."""
    known = [*preprocess["vocabulary"], *preprocess.get("pieces", ())]
    words = int((numbers <= len(preprocess["vocabulary"])).sum())
    names = [known[number - 1] for number in numbers.tolist()]
    smaller = {name: value for name, value in preprocess.items() if name not in {"pieces", "piece_sizes"}}
    smaller["vocabulary"] = names[:words]
    if len(names) > words:
        smaller |= {"pieces": names[words:], "piece_sizes": preprocess["piece_sizes"]}
    places = torch.cat([numbers.new_zeros(1), numbers])
    rows = {name: tensor[places].clone() for name, tensor in net.state_dict().items() if name in _BY_NUMBER}
    return smaller, NgramNet.of({}, net.state_dict() | rows).eval()


_BY_NUMBER = ("idf", "share", "table")


@torch.no_grad()
def prune(net: NgramNet, preprocess: Mapping[str, Any], keep: float) -> tuple[NgramNet, dict[str, Any]]:
    """The net and preprocessing with that share of the n-grams: those whose rows move answers most.

    An n-gram moves them by its weight times its row's norm in the rows that hold it. What moves all classes alike moves
    none: a linear table is centred first.
    """
    table = (
        net.table if net.head is not None or net.table.shape[1] == 1 else net.table - net.table.mean(1, keepdim=True)
    )
    worth = (net.idf * table.norm(dim=1) * net.share)[1:]
    most = max(1, round(keep * len(worth)))
    numbers = torch.argsort(worth, descending=True, stable=True)[:most].sort().values + 1
    preprocess, net = kept(net, preprocess, numbers)
    return net, preprocess
