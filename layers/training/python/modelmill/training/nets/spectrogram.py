"""Samples in, raw outputs out: a logarithmic mel spectrogram, computed by convolutions, and a convolutional net."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from modelmill.training.nets.base import Net, Tensors
from modelmill.training.nets.convolutional import ConvBody, side_by_side

if TYPE_CHECKING:  # it imports onnx, which takes longer than most candidates to train
    from modelmill.training.graph import Graph

_FLOOR = 1e-8
"""Added to powers, of which a sine of full scale has a quarter: what is 74 dB below it is silence."""
_LOWEST = 40.0
"""Hertz."""
Weights = NDArray[np.float32]


class LogMel(nn.Module):
    """Sounds float32 [B, samples] → [B, 1, bands, frames].

    A frame every `hop` samples is `window` samples long and weighed by a Hann window. Its power spectrum, by a strided
    convolution with sines and cosines, is summed in triangles that overlap by half, evenly spaced on the mel scale
    (O'Shaughnessy 1987), and its logarithm taken.
    """

    bases: Tensor
    triangles: Tensor

    def __init__(self, rate: int, window: int, hop: int, bands: int) -> None:
        super().__init__()
        self.hop = hop
        # Both follow from the four numbers, so no file holds them.
        self.register_buffer("bases", torch.from_numpy(_bases(window)), persistent=False)
        self.register_buffer("triangles", torch.from_numpy(_triangles(rate, window, bands)), persistent=False)

    def forward(self, sounds: Tensor) -> Tensor:
        """The spectrograms."""
        waves = functional.conv1d(sounds[:, None], self.bases, stride=self.hop)
        real, imaginary = waves.square().chunk(2, dim=1)
        power = torch.matmul(self.triangles, real + imaginary)
        return torch.log(power + _FLOOR)[:, None]

    def export(self, graph: Graph, sounds: str) -> str:
        """`forward`."""
        framed = graph.op("Unsqueeze", [sounds, graph.constant([1])])
        waves = graph.op("Conv", [framed, graph.constant(self.bases)], strides=[self.hop])
        squares = graph.op("Mul", [waves, waves])
        half = self.bases.shape[0] // 2
        real, imaginary = (
            graph.op("Slice", [squares, graph.constant([start]), graph.constant([stop]), graph.constant([1])])
            for start, stop in ((0, half), (half, 2 * half))
        )
        power = graph.op("MatMul", [graph.constant(self.triangles), graph.op("Add", [real, imaginary])])
        levels = graph.op("Log", [graph.op("Add", [power, graph.constant(_FLOOR)])])
        return graph.op("Unsqueeze", [levels, graph.constant([1])])


def _bases(window: int) -> Weights:
    """Cosines and sines of each line of the spectrum under a Hann window that sums to 1, [2 · lines, 1, window]."""
    hann = np.hanning(window + 1)[:-1]
    angles = 2 * np.pi / window * np.outer(np.arange(window // 2 + 1), np.arange(window))
    waves = np.concatenate([np.cos(angles), np.sin(angles)]) * hann / hann.sum()
    bases: Weights = waves[:, None].astype(np.float32)
    return bases


def _triangles(rate: int, window: int, bands: int) -> Weights:
    """Weights [bands, lines] of the lines of a spectrum; a band narrower than a line has the nearest one."""
    lines = np.arange(window // 2 + 1) * rate / window
    mels = np.linspace(_mel(_LOWEST), _mel(rate / 2), bands + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    below, centre, above = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    weights = np.clip(np.minimum((lines - below) / (centre - below), (above - lines) / (above - centre)), 0, None)
    nearest = np.abs(lines - centre).argmin(axis=1)
    weights[np.arange(bands), nearest] = np.where(weights.sum(axis=1) == 0, 1.0, weights[np.arange(bands), nearest])
    triangles: Weights = weights.astype(np.float32)
    return triangles


def _mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)


class AudioNet(Net):
    """Sounds float32 [B, N, samples] → raw outputs; all N sounds of a row go through one body.

    `mean` [bands] and `inverse_spread` scale the levels of the spectrogram.
    """

    kind: ClassVar[str] = "audio"
    mean: Tensor
    inverse_spread: Tensor

    def __init__(
        self, *, columns: int, samples: int, mel: Mapping[str, int], body: Mapping[str, int], outputs: int
    ) -> None:
        super().__init__()
        self.columns, self.samples, self.shapes = columns, samples, {"mel": dict(mel), "body": dict(body)}
        self.mel = LogMel(**mel)
        self.register_buffer("mean", torch.zeros(mel["bands"]))
        self.register_buffer("inverse_spread", torch.ones(()))
        self.body = ConvBody(**body)
        self.leave = nn.Linear(columns * self.body.features, outputs)

    def config(self) -> dict[str, Any]:
        """Columns, samples, and the shapes of spectrogram and body."""
        return {"columns": self.columns, "samples": self.samples, **self.shapes}

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:
        """The net of this shape that has these tensors."""
        shapes = {name: config[name] for name in ("columns", "samples", "mel", "body")}
        net = cls(**shapes, outputs=len(tensors["leave.bias"]))
        net.load_state_dict(dict(tensors))
        return net

    def forward(self, sounds: Tensor) -> Tensor:
        """Raw outputs."""
        return self.answer(self.scaled(self.mel(sounds.flatten(0, 1))))

    def scaled(self, levels: Tensor) -> Tensor:
        """Spectrograms [B · N, 1, bands, frames] as the body takes them."""
        return (levels - self.mean[:, None]) * self.inverse_spread

    def answer(self, levels: Tensor) -> Tensor:
        """Raw outputs of the scaled spectrograms of all sounds of B rows."""
        outputs: Tensor = self.leave(self.features(levels))
        return outputs

    def features(self, levels: Tensor) -> Tensor:
        """What the head sees of scaled spectrograms: [B, N · features]."""
        found: Tensor = self.body(levels)
        return found.view(-1, self.leave.in_features)

    def export(self, graph: Graph) -> str:
        """`forward`."""
        return graph.linear(self.leave, self.export_features(graph))

    def export_features(self, graph: Graph) -> str:
        """`features` of the sounds."""
        sounds = graph.input("sounds", "FLOAT", self.columns, self.samples)
        levels = self.mel.export(graph, graph.op("Reshape", [sounds, graph.constant([-1, self.samples])]))
        centred = graph.op("Sub", [levels, graph.constant(self.mean[:, None])])
        scaled = graph.op("Mul", [centred, graph.constant(self.inverse_spread)])
        return side_by_side(graph, self.body.export(graph, scaled), self.leave.in_features)
