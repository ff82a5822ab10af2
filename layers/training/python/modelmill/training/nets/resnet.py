"""A residual net of the kind that pretrained weights exist of (ResNet-18, -34, -50 and their like), without its head.

Names of tensors are those of torchvision, which timm's are as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelmill.training.nets.convolutional import convolution

if TYPE_CHECKING:  # it imports onnx, which takes longer than most candidates to train
    from modelmill.training.graph import Graph

_GROWS = 4
"""A bottleneck gives so many times the channels that it computes with."""


class Block(nn.Module):
    """Two convolutions, or three of which the middle one is narrow (He et al. 2016; strides as in torchvision)."""

    def __init__(self, inputs: int, width: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        outputs = width * _GROWS if bottleneck else width
        sizes = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        if not bottleneck:
            sizes = [(inputs, width, 3, stride), (width, width, 3, 1)]
        self.count = len(sizes)
        for number, (before, after, size, step) in enumerate(sizes, start=1):
            layer = nn.Conv2d(before, after, size, step, size // 2, bias=False)
            self.add_module(f"conv{number}", layer)
            self.add_module(f"bn{number}", nn.BatchNorm2d(after))
        self.downsample = None
        if stride != 1 or inputs != outputs:
            shorter = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shorter, nn.BatchNorm2d(outputs))

    def layers(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """The convolutions and the norms behind them."""
        named = dict(self.named_children())
        pairs = [(named[f"conv{number}"], named[f"bn{number}"]) for number in range(1, self.count + 1)]
        return [
            (layer, norm) for layer, norm in pairs if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        ]

    def forward(self, pictures: Tensor) -> Tensor:
        """[B, C, H, W] → [B, C', H', W']."""
        state = pictures
        for number, (layer, norm) in enumerate(self.layers(), start=1):
            state = norm(layer(state))
            if number < self.count:
                state = functional.relu(state)
        return functional.relu(state + (pictures if self.downsample is None else self.downsample(pictures)))

    def export(self, graph: Graph, pictures: str) -> str:
        """`forward`."""
        state = pictures
        for number, (layer, norm) in enumerate(self.layers(), start=1):
            state = convolution(graph, layer, norm, state)
            if number < self.count:
                state = graph.op("Relu", [state])
        shorter = pictures
        if self.downsample is not None:
            first, second = self.downsample
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                shorter = convolution(graph, first, second, pictures)
        return graph.op("Relu", [graph.op("Add", [state, shorter])])


class ResNetBody(nn.Module):
    """Pictures float32 [B, channels, H, W] → features [B, `features`]: the mean of each channel."""

    def __init__(self, channels: int, width: int, blocks: Sequence[int], *, bottleneck: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inputs = width
        self.stages: list[str] = []
        for stage, count in enumerate(blocks):
            wide = width * 2**stage
            layers = []
            for number in range(count):
                stride = 2 if stage and not number else 1
                layers.append(Block(inputs, wide, stride, bottleneck=bottleneck))
                inputs = wide * _GROWS if bottleneck else wide
            self.stages.append(f"layer{stage + 1}")
            self.add_module(self.stages[-1], nn.Sequential(*layers))
        self.features = inputs

    def blocks(self) -> list[Block]:
        """All of them, in order."""
        return [
            block for name in self.stages for block in self.get_submodule(name).children() if isinstance(block, Block)
        ]

    def forward(self, pictures: Tensor) -> Tensor:
        """Features."""
        state = functional.relu(self.bn1(self.conv1(pictures)))
        state = functional.max_pool2d(state, 3, 2, 1)
        for block in self.blocks():
            state = block(state)
        return state.mean(dim=(2, 3))

    def export(self, graph: Graph, pictures: str) -> str:
        """`forward`."""
        state = graph.op("Relu", [convolution(graph, self.conv1, self.bn1, pictures)])
        state = graph.op("MaxPool", [state], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        for block in self.blocks():
            state = block.export(graph, state)
        return graph.op("Flatten", [graph.op("GlobalAveragePool", [state])], axis=1)


def shape_of(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The arguments of the body that these tensors are of. Raises KeyError, ValueError for those of another net."""
    stem = tensors["conv1.weight"]
    if stem.ndim != 4 or tuple(stem.shape[2:]) != (7, 7):
        raise ValueError("the first convolution is not one of 7 by 7 pixels")
    blocks = []
    for stage in range(1, 5):
        numbers = {int(name.split(".")[1]) for name in tensors if name.startswith(f"layer{stage}.")}
        blocks.append(len(numbers))
    if 0 in blocks:
        raise ValueError("there are not four stages")
    bottleneck = "layer1.0.conv3.weight" in tensors
    return {"channels": stem.shape[1], "width": stem.shape[0], "blocks": blocks, "bottleneck": bottleneck}


@torch.no_grad()
def load_into(body: ResNetBody, tensors: Mapping[str, Tensor]) -> None:
    """Set the body's tensors; a head is left out. Raises RuntimeError for tensors that do not fit."""
    counted = {name: tensor for name, tensor in body.state_dict().items() if name.endswith("num_batches_tracked")}
    body.load_state_dict(
        counted | {name: tensor.float() for name, tensor in tensors.items() if not name.startswith("fc.")}
    )
