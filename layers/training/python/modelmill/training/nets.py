"""The nets: the model's arrays in, logits [B, classes] out. Everything that was fitted is a named tensor.

A net is rebuilt from its tensors alone, so `weights.safetensors` and `preprocess.json` are all that packaging needs;
`convert` writes the same arithmetic as an ONNX graph.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

Tensors = Mapping[str, Tensor]
LIMIT = 10.0
"""Standardised numbers are cut at ± this many standard deviations."""
_TINY = 1e-12


class TextNet(nn.Module):
    """TF-IDF weighted sum of n-gram rows of `table` [V + 1, D]; with a hidden layer's `head` it is an embedding model.

    Weights are (1 + ln count) · idf, L2-normalised over the row (Manning et al. 2008, §6.4: "ltc").
    """

    idf: Tensor

    def __init__(self, idf: Tensor, width: int, classes: int | None) -> None:
        super().__init__()
        self.register_buffer("idf", idf)
        self.table = nn.Parameter(torch.zeros(len(idf), width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.head = None if classes is None else nn.Linear(width, classes)

    @classmethod
    def of(cls, tensors: Tensors) -> Self:
        """The net that has these tensors."""
        head = tensors.get("head.weight")
        net = cls(tensors["idf"], tensors["table"].shape[1], None if head is None else head.shape[0])
        net.load_state_dict(dict(tensors))
        return net

    def bags(self, ids: Tensor, weights: Tensor, offsets: Tensor) -> Tensor:
        """Logits of rows given one after the other: row i is `ids[offsets[i]:offsets[i + 1]]`."""
        pooled = functional.embedding_bag(ids, self.table, offsets, mode="sum", per_sample_weights=weights)
        hidden = pooled + self.bias
        logits: Tensor = hidden if self.head is None else self.head(torch.relu(hidden))
        return logits

    def forward(self, ids: Tensor, counts: Tensor) -> Tensor:
        """Logits of padded rows: `ids` int64 [B, L], `counts` float32 [B, L], 0 = padding (its idf is 0)."""
        weights = (1 + torch.log(counts.clamp(min=1))) * self.idf[ids]
        weights = weights / weights.norm(dim=1, keepdim=True).clamp(min=_TINY)
        offsets = torch.arange(len(ids), device=ids.device) * ids.shape[1]
        return self.bags(ids.flatten(), weights.flatten(), offsets)

    def scale(self, factor: float) -> None:
        """Multiply the logits by `factor`, in the weights."""
        _scale((self.table, self.bias) if self.head is None else (self.head.weight, self.head.bias), factor)


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


class TabularNet(nn.Module):
    """Encoded numbers and one row of `table` [sum of (values + 1), D] per category column.

    With `blocks` the parts are concatenated into a residual net; without, D = classes and the category rows are
    added to a linear map of the numbers, which is multinomial logistic regression on one-hot categories.
    """

    starts: Tensor

    def __init__(
        self, tensors: Tensors, classes: int, *, width: int, hidden: int = 0, blocks: int = 0, dropout: float = 0.0
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
            self.leave = nn.Linear(hidden if blocks else inputs, classes)

    @classmethod
    def of(cls, tensors: Tensors) -> Self:
        """The net that has these tensors."""
        classes, last = tensors["leave.weight"].shape
        blocks = sum(name.endswith(".up.weight") for name in tensors)
        net = cls(tensors, classes, width=tensors["table"].shape[1], hidden=last if blocks else 0, blocks=blocks)
        net.load_state_dict(dict(tensors))
        return net

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Logits; `numbers` float32 [B, N], `categories` int64 [B, C]."""
        encoded, rows = self.numbers(numbers), self.table[categories + self.starts]
        if self.enter is None or self.norm is None:
            logits: Tensor = self.leave(encoded) + rows.sum(dim=1)
        else:
            state = self.enter(torch.cat([encoded, rows.flatten(1)], dim=1))
            for block in self.blocks:
                state = block(state)
            logits = self.leave(torch.relu(self.norm(state)))
        return logits

    def scale(self, factor: float) -> None:
        """Multiply the logits by `factor`, in the weights."""
        linear = () if self.blocks else (self.table,)
        _scale((self.leave.weight, self.leave.bias, *linear), factor)


NUMBER_TENSORS = ("fill", "centre", "inverse_scale", "edges", "inverse_widths")
Net = TextNet | TabularNet


def net_of(preprocess: Mapping[str, Any], tensors: Tensors) -> Net:
    """The net of a candidate, from what its training job stored."""
    net: Net = (TextNet if preprocess["kind"] == "text" else TabularNet).of(tensors)
    return net.eval()


def parameters(net: Net) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in net.parameters())


@torch.no_grad()
def _scale(tensors: tuple[Tensor, ...], factor: float) -> None:
    for tensor in tensors:
        tensor.mul_(factor)
