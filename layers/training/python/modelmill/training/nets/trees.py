"""Numbers and categories in, raw outputs out: the sum of one leaf of each tree.

Every feature is a number to the trees: the columns themselves, rotations of pairs of them, and for a category its
index (the most frequent first) and the mean targets of its rows. So all splits are `feature <= threshold`, and one
TreeEnsemble node of ONNX is the whole model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor

from modelmill.training.nets.base import Net, Tensors

if TYPE_CHECKING:  # it imports onnx, which takes longer than most candidates to train
    from modelmill.training.graph import Graph

LIMIT = 100.0
"""Numbers are cut at ± this many standard deviations before they are rotated."""
FEATURES = ("fill", "centre", "inverse_scale", "left", "right", "cosine", "sine", "starts", "table")
TREES = ("base", "roots", "feature", "threshold", "yes", "no", "missing", "leaf", "target")
_ROWS = 512
"""Rows that walk down the trees together: their places in all trees stay in the cache."""


class Inputs(torch.nn.Module):
    """Numbers [B, N], NaN for missing, and categories [B, C] → features [B, N + R + C · (1 + M)].

    `fill`, `centre`, `inverse_scale` [N] standardise the numbers that are rotated; rotation r is `cosine[r]` times
    number `left[r]` plus `sine[r]` times number `right[r]`. `table` [sum of sizes, M] has the mean targets of each
    value of each category, whose rows begin at `starts` [C].
    """

    fill: Tensor
    centre: Tensor
    inverse_scale: Tensor
    left: Tensor
    right: Tensor
    cosine: Tensor
    sine: Tensor
    starts: Tensor
    table: Tensor

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        for name in FEATURES:
            self.register_buffer(name, tensors[name])

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """The features, float32."""
        filled = torch.where(torch.isnan(numbers), self.fill, numbers)
        standard = ((filled - self.centre) * self.inverse_scale).clamp(-LIMIT, LIMIT)
        rotated = standard[:, self.left] * self.cosine + standard[:, self.right] * self.sine
        means = self.table[categories + self.starts].flatten(1)
        return torch.cat([numbers, rotated, categories.to(numbers.dtype), means], dim=1)

    def export(self, graph: Graph) -> str:
        """`forward`; a kind of column that the data do not have has an input of width 0 and no nodes."""
        width, columns = len(self.fill), len(self.starts)
        numbers, categories = graph.input("numbers", "FLOAT", width), graph.input("categories", "INT64", columns)
        parts = [numbers] if width else []
        if len(self.left):
            filled = graph.op("Where", [graph.op("IsNaN", [numbers]), graph.constant(self.fill), numbers])
            centred = graph.op("Sub", [filled, graph.constant(self.centre)])
            scaled = graph.op("Mul", [centred, graph.constant(self.inverse_scale)])
            standard = graph.op("Clip", [scaled, graph.constant(-LIMIT), graph.constant(LIMIT)])
            turned = []
            for side, factor in ((self.left, self.cosine), (self.right, self.sine)):
                taken = graph.op("Gather", [standard, graph.constant(side)], axis=1)
                turned.append(graph.op("Mul", [taken, graph.constant(factor)]))
            parts.append(graph.op("Add", turned))
        if columns:
            places = graph.op("Add", [categories, graph.constant(self.starts)])
            means = graph.op("Gather", [graph.constant(self.table, "table"), places])
            parts += [graph.op("Cast", [categories], to=1), graph.op("Flatten", [means], axis=1)]  # FLOAT
        return parts[0] if len(parts) == 1 else graph.op("Concat", parts, axis=1)


class TreesNet(Net):
    """Trees over `Inputs`: tree t begins at node `roots[t]`; a row at node i goes on to `yes[i]` if its number
    `feature[i]` is at most `threshold[i]`, or if that is missing and `missing[i]`, and to `no[i]` otherwise. From 0
    they are nodes; below, ~i is a leaf, which adds `leaf[i]` to output `target[i]`. `base` [K] is added to every row.
    """  # noqa: D205

    kind: ClassVar[str] = "trees"
    base: Tensor
    roots: Tensor
    feature: Tensor
    threshold: Tensor
    yes: Tensor
    no: Tensor
    missing: Tensor
    leaf: Tensor
    target: Tensor

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        self.inputs = Inputs({name: tensors[f"inputs.{name}"] for name in FEATURES})
        for name in TREES:
            self.register_buffer(name, tensors[name])

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:  # noqa: ARG003 - all of it is in the tensors
        """The net that has these tensors."""
        return cls(tensors)

    def parameters_count(self) -> int:
        """A threshold a node, a value a leaf, and the categories' mean targets."""
        return len(self.threshold) + len(self.leaf) + self.inputs.table.numel()

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Raw outputs; `numbers` float32 [B, N], `categories` int64 [B, C]."""
        features = self.inputs(numbers, categories)
        return torch.cat([self._walk(rows) for rows in features.split(_ROWS)])

    def _walk(self, features: Tensor) -> Tensor:
        node = self.roots.expand(features.shape[0], -1)
        while bool((node >= 0).any()):
            inner = node.clamp(min=0)
            value = features.gather(1, self.feature[inner])
            goes = torch.where(torch.isnan(value), self.missing[inner], value <= self.threshold[inner])
            node = torch.where(node >= 0, torch.where(goes, self.yes[inner], self.no[inner]), node)
        leaves = ~node
        outputs = features.new_zeros(len(features), len(self.base))
        return outputs.scatter_add(1, self.target[leaves], self.leaf[leaves]) + self.base

    def export(self, graph: Graph) -> str:
        """`forward`."""
        from onnx.numpy_helper import from_array  # late: it takes longer than most candidates to train

        def links(side: Tensor, name: str) -> dict[str, Any]:
            at_leaf = side < 0
            places = torch.where(at_leaf, ~side, side)
            return {f"nodes_{name}nodeids": places.tolist(), f"nodes_{name}leafs": at_leaf.long().tolist()}

        summed = graph.op(
            "TreeEnsemble",
            [self.inputs.export(graph)],
            domain="ai.onnx.ml",
            n_targets=len(self.base),
            aggregate_function=1,  # the sum
            tree_roots=self.roots.tolist(),
            nodes_featureids=self.feature.tolist(),
            nodes_modes=from_array(torch.zeros(len(self.feature), dtype=torch.uint8).numpy()),  # <=
            nodes_splits=from_array(self.threshold.numpy()),
            nodes_missing_value_tracks_true=self.missing.long().tolist(),
            **links(self.yes, "true"),
            **links(self.no, "false"),
            leaf_weights=from_array(self.leaf.numpy()),
            leaf_targetids=self.target.tolist(),
        )
        return graph.op("Add", [summed, graph.constant(self.base)])
