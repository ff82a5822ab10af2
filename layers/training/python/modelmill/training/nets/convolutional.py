"""Pixels in, raw outputs out: a small residual convolutional net, its batch norms folded away in ONNX.

`ConvBody` is what images, spectrograms and mixed rows share: pictures in, one vector of features a picture out.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelmill.training.nets.base import Net, Tensors

if TYPE_CHECKING:  # it imports onnx, which takes longer than most candidates to train
    from modelmill.training.graph import Graph
    from modelmill.training.nets.resnet import ResNetBody

_FINE = 40
"""Pixels of the shorter side from which on the first convolution takes strides."""
_COARSE = 4
"""Pixels of the shorter side that are not halved any more."""


class Convolution(nn.Module):
    """Convolution, batch norm (Ioffe and Szegedy 2015), ReLU: one convolution once it is trained."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        size = 3 if stride == 1 else stride + stride // 2 * 2 - 1
        self.convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, pictures: Tensor) -> Tensor:
        """[B, C, H, W] → [B, C', H', W']."""
        return functional.relu(self.norm(self.convolution(pictures)))

    def export(self, graph: Graph, pictures: str) -> str:
        """`forward`."""
        return graph.op("Relu", [convolution(graph, self.convolution, self.norm, pictures)])


class Residual(nn.Module):
    """A picture and what two convolutions add to it (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = Convolution(channels, channels), Convolution(channels, channels)

    def forward(self, pictures: Tensor) -> Tensor:
        """[B, C, H, W] → [B, C, H, W]."""
        moved: Tensor = pictures + self.second(self.first(pictures))
        return moved

    def export(self, graph: Graph, pictures: str) -> str:
        """`forward`."""
        return graph.op("Add", [pictures, self.second.export(graph, self.first.export(graph, pictures))])


class ConvBody(nn.Module):
    """Pictures float32 [B, channels, H, W] → features [B, `features`].

    The first layer keeps the size or, of large pictures, strides; each of the `stages` doubles the channels (the first
    two times `width`), halves the size, and adds a residual. The largest value of each channel anywhere is a feature.
    """

    def __init__(self, channels: int, width: int, stages: int, stride: int) -> None:
        super().__init__()
        self.enter = Convolution(channels, width, stride)
        widths = [width * 2**stage for stage in range(stages + 1)]
        self.grow = nn.ModuleList(Convolution(a, b) for a, b in pairwise(widths))
        self.residuals = nn.ModuleList(Residual(wide) for wide in widths[1:])
        self.features = widths[-1]

    def forward(self, pictures: Tensor) -> Tensor:
        """Features."""
        state = self.enter(pictures)
        for grow, residual in zip(self.grow, self.residuals, strict=True):
            state = residual(functional.max_pool2d(grow(state), 2))
        return torch.amax(state, dim=(2, 3))

    def export(self, graph: Graph, pictures: str) -> str:
        """`forward`."""
        state = self.enter.export(graph, pictures)
        for grow, residual in zip(self.grow, self.residuals, strict=True):
            if isinstance(grow, Convolution) and isinstance(residual, Residual):
                pooled = graph.op("MaxPool", [grow.export(graph, state)], kernel_shape=[2, 2], strides=[2, 2])
                state = residual.export(graph, pooled)
        return graph.op("Flatten", [graph.op("GlobalMaxPool", [state])], axis=1)


def _body_of(shape: Mapping[str, Any]) -> ConvBody | ResNetBody:
    """The body of a shape: a pretrained kind says how many `blocks` it has."""
    if "blocks" not in shape:
        return ConvBody(**shape)
    from modelmill.training.nets.resnet import ResNetBody  # late: it is made of this module's parts

    return ResNetBody(**shape)


def shape_for(height: int, width: int) -> dict[str, int]:
    """`stages` and `stride` of a body for pictures of a size."""
    side, stride, stages = min(height, width), 1, 0
    while side / stride > _FINE:
        stride *= 2
    while side // stride // 2 ** (stages + 1) >= _COARSE and stages < 3:
        stages += 1
    return {"stages": max(stages, 1), "stride": stride}


class ImageNet(Net):
    """Images uint8 [B, N, H, W, C] → raw outputs; all N images of a row go through one body.

    `mean` and `inverse_spread` [C] scale the pixels. With `mirrors`, a trained net sees each image both ways round.
    """

    kind: ClassVar[str] = "image"
    mean: Tensor
    inverse_spread: Tensor

    def __init__(
        self, *, columns: int, height: int, across: int, body: Mapping[str, Any], outputs: int, mirrors: bool = False
    ) -> None:
        super().__init__()
        self.columns, self.height, self.across, self.mirrors, self.shape = columns, height, across, mirrors, dict(body)
        self.register_buffer("mean", torch.zeros(body["channels"]))
        self.register_buffer("inverse_spread", torch.ones(body["channels"]))
        self.body = _body_of(body)
        self.leave = nn.Linear(columns * self.body.features, outputs)

    def config(self) -> dict[str, Any]:
        """Columns, height and width (`across`) in pixels, the body's shape, and whether it mirrors."""
        sizes = {"columns": self.columns, "height": self.height, "across": self.across}
        return {**sizes, "body": self.shape, "mirrors": self.mirrors}

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:
        """The net of this shape that has these tensors."""
        shape = {name: config[name] for name in ("columns", "height", "across", "body", "mirrors")}
        net = cls(**shape, outputs=len(tensors["leave.bias"]))
        net.load_state_dict(dict(tensors))
        return net

    def forward(self, images: Tensor) -> Tensor:
        """Raw outputs."""
        return self.answer(self.scaled(images.flatten(0, 1).permute(0, 3, 1, 2)))

    def scaled(self, pixels: Tensor) -> Tensor:
        """Pictures uint8 [B · N, C, H, W] as the body takes them."""
        scaled: Tensor = (pixels.float() - self.mean[:, None, None]) * self.inverse_spread[:, None, None]
        return scaled

    def answer(self, pictures: Tensor) -> Tensor:
        """Raw outputs of the scaled pictures [B · N, C, H, W] of B rows."""
        outputs: Tensor = self.leave(self.features(pictures))
        return outputs

    def features(self, pictures: Tensor) -> Tensor:
        """What the head sees of scaled pictures: [B, N · features]."""
        found = self.body(pictures)
        if self.mirrors and not self.training:
            found = (found + self.body(pictures.flip(3))) / 2
        side_by_side: Tensor = found.view(-1, self.leave.in_features)
        return side_by_side

    def export(self, graph: Graph) -> str:
        """`forward`."""
        return graph.linear(self.leave, self.export_features(graph))

    def export_features(self, graph: Graph) -> str:
        """`features` of the images."""
        shape = [self.height, self.across, len(self.mean)]
        images = graph.input("images", "UINT8", self.columns, *shape)
        pixels = graph.op("Cast", [graph.op("Reshape", [images, graph.constant([-1, *shape])])], to=1)  # FLOAT
        centred = graph.op("Sub", [pixels, graph.constant(self.mean)])
        scaled = graph.op("Mul", [centred, graph.constant(self.inverse_spread)])
        pictures = graph.op("Transpose", [scaled], perm=[0, 3, 1, 2])
        if self.mirrors:
            turn = [graph.constant([number]) for number in (-1, -self.across - 1, 3, -1)]
            pictures = graph.op("Concat", [pictures, graph.op("Slice", [pictures, *turn])], axis=0)
        found = self.body.export(graph, pictures)
        if self.mirrors:
            both = graph.op("Reshape", [found, graph.constant([2, -1, self.body.features])])
            found = graph.op("ReduceMean", [both, graph.constant([0])], keepdims=0)
        return side_by_side(graph, found, self.leave.in_features)


def side_by_side(graph: Graph, features: str, width: int) -> str:
    """The features of all pictures of a row: [B · N, F] → [B, N · F]."""
    return graph.op("Reshape", [features, graph.constant([-1, width])])


@torch.no_grad()
def convolution(graph: Graph, layer: nn.Conv2d, norm: nn.BatchNorm2d, pictures: str) -> str:
    """A convolution and the batch norm behind it as one Conv node."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a batch norm without statistics of its own")
    scale = norm.weight.double() * torch.rsqrt(norm.running_var.double() + norm.eps)
    weight = layer.weight.double() * scale[:, None, None, None]
    bias = norm.bias.double() - norm.running_mean.double() * scale
    (down, right), pads = layer.stride, [int(pad) for pad in layer.padding]
    return graph.op(
        "Conv",
        [pictures, graph.constant(weight.float()), graph.constant(bias.float())],
        kernel_shape=list(layer.kernel_size),
        strides=[down, right],
        pads=[*pads, *pads],
    )
