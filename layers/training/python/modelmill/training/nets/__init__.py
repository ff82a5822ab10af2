"""The nets by kind: `net.json` and tensors in, the net out."""

from collections.abc import Mapping
from typing import Any

from modelmill.training.nets.base import Net, Tensors
from modelmill.training.nets.convolutional import ImageNet
from modelmill.training.nets.encoder import EncoderNet
from modelmill.training.nets.ensemble import EnsembleNet
from modelmill.training.nets.fusion import FusionNet
from modelmill.training.nets.fusion_net import PartsNet
from modelmill.training.nets.model import Model
from modelmill.training.nets.ngram import NgramNet
from modelmill.training.nets.spectrogram import AudioNet
from modelmill.training.nets.tabular import TabMNet, TabularNet
from modelmill.training.nets.trees import TreesNet

_NETS: tuple[type[Net], ...] = (
    AudioNet,
    EncoderNet,
    EnsembleNet,
    FusionNet,
    ImageNet,
    NgramNet,
    PartsNet,
    TabMNet,
    TabularNet,
    TreesNet,
)
KINDS: dict[str, type[Net]] = {net.kind: net for net in _NETS}


def net_of(config: Mapping[str, Any], tensors: Tensors) -> Net:
    """The net of `{"kind", …}`, ready to answer."""
    return KINDS[config["kind"]].of(config, tensors).eval()


def config_of(net: Net) -> dict[str, Any]:
    """What `net_of` needs beside the tensors."""
    return {"kind": net.kind, **net.config()}


__all__ = ["KINDS", "Model", "Net", "Tensors", "config_of", "net_of"]
