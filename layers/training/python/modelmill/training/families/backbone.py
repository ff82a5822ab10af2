"""A pretrained net for images: a folder with a ResNet's weights and images in; its features and a new head out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from modelmill.core.errors import Rejected
from modelmill.training.augment import mirrored, moved
from modelmill.training.families import Fitted, Settings
from modelmill.training.families.convolution import Learner, Pictures, chosen_epochs, loss_of, train
from modelmill.training.families.image import pictures_of, pixels_of
from modelmill.training.loop import Loop
from modelmill.training.nets import Net
from modelmill.training.nets.convolutional import ImageNet
from modelmill.training.nets.resnet import ResNetBody, load_into, shape_of
from modelmill.training.rows import Rows
from modelmill.training.run import Run

_FILE = "model.safetensors"
_MEAN, _SPREAD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Of ImageNet's pixels, in 0 to 255: what torchvision's and most of timm's weights were trained with."""
_CHUNK = 64
_HEAD_EPOCHS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Backbone:
    """A linear head on the features of a pretrained net; with `tune` epochs the net is then trained with it, too.

    Images are stretched to a square with `side`.
    """

    costly: ClassVar[bool] = True
    side: int = 160
    tune: int = 0
    learning_rate: float = 2e-4

    def fit(self, train_rows: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn the head, and tune; raises Rejected (`no_weights`, `bad_weights`)."""
        preprocess, net = self._net(run, run.objective.outputs)
        target, held_out = run.objective.target(train_rows), run.objective.target(validation)
        rows = pictures_of(pixels_of(preprocess, train_rows), target, run.device)
        asked = pictures_of(pixels_of(preprocess, validation), held_out, run.device)
        best = _learn_head(net, rows, run, asked)
        settings = {"best_epoch": best, "epochs": _HEAD_EPOCHS}
        learner = Learner(net)
        if self.tune:

            def validate() -> float:
                return run.objective.scores(learner.outputs(asked).cpu(), held_out)[run.objective.measure]

            loss, tuned = loss_of(learner, rows, _augmented(learner, self.side // 8), run), run.part("tuned", 0.5, 1.0)
            train(learner, loss, len(rows.target), validate, tuned, epochs=self.tune, learning_rate=self.learning_rate)
        raw = learner.outputs(asked).cpu()
        return Fitted(preprocess, net.cpu(), raw, settings)

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> tuple[dict[str, Any], Net] | None:
        """A head alone is learnt from all rows; a net that was tuned stays as it is."""
        if self.tune:
            return None
        preprocess, net = self._net(run, run.objective.outputs)
        pictures = pictures_of(pixels_of(preprocess, rows), run.objective.target(rows), run.device)
        _learn_head(net, pictures, run, None, chosen_epochs(settings)[0])
        return preprocess, net.cpu()

    def _net(self, run: Run, outputs: int) -> tuple[dict[str, Any], ImageNet]:
        inputs = [column.name for column in run.spec.inputs if column.kind == "image"]
        preprocess = {"kind": "image", "inputs": inputs, "height": self.side, "width": self.side, "channels": 3}
        if run.weights is None:
            text = f"{run.candidate.name} needs pretrained weights"
            raise Rejected("no_weights", text, hint="say in the recipe which: candidates: [{family, weights}]")
        body, tensors = _read(run.weights)
        torch.manual_seed(run.seed)
        net = ImageNet(columns=len(inputs), height=self.side, across=self.side, body=body, outputs=outputs)
        try:
            if isinstance(net.body, ResNetBody):
                load_into(net.body, tensors)
        except RuntimeError:
            raise _bad("its tensors are not those of a ResNet") from None
        net.mean.copy_(torch.tensor(_MEAN))
        net.inverse_spread.copy_(1 / torch.tensor(_SPREAD))
        return preprocess, net.to(run.device).eval()


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The shape and the tensors in a folder; raises Rejected."""
    try:
        tensors = load_file(folder / _FILE)
        shape = shape_of(tensors)
    except (OSError, SafetensorError):
        raise _bad("there is no such file that can be read") from None
    except (KeyError, ValueError, IndexError) as error:
        raise _bad(f"it is no ResNet ({error})") from None
    if shape["channels"] != len(_MEAN):
        raise _bad("it does not read images of three colours")
    return shape, tensors


def _bad(why: str) -> Rejected:
    return Rejected(
        "bad_weights",
        f"{_FILE}: {why}",
        hint="wanted is a ResNet-18, -34, -50 or alike, as torchvision or timm name it",
    )


@torch.no_grad()
def _features(net: ImageNet, rows: Pictures) -> Tensor:
    """What the head sees of the rows, float32 [n, features]."""
    numbers = torch.arange(len(rows.target), device=rows.pixels.device)
    return torch.cat([net.features(net.scaled(rows.of(chunk))) for chunk in torch.split(numbers, _CHUNK)])


def _learn_head(net: ImageNet, rows: Pictures, run: Run, asked: Pictures | None, stop: int | None = None) -> int:
    """Learn the head of standardised features, and let it take them as they are; the epoch that was best."""
    found = _features(net, rows)
    mean, spread = found.mean(0), found.std(0).clamp(min=1e-6)
    found = (found - mean) / spread
    head = nn.Linear(found.shape[1], run.objective.outputs).to(run.device)
    nn.init.zeros_(head.weight)
    other = None if asked is None else (_features(net, asked) - mean) / spread

    def validate() -> float:
        if other is None or asked is None:
            raise ValueError("nothing to validate with")
        with torch.no_grad():
            return run.objective.scores(head(other).cpu(), asked.target.cpu())[run.objective.measure]

    def loss(index: Tensor) -> Tensor:
        return run.objective.loss(head(found[index]).float(), rows.target[index])

    loop = Loop(epochs=_HEAD_EPOCHS, batch=max(16, min(128, len(found) // 40)), learning_rate=1e-3, weight_decay=0.1)
    part = run.part("head", 0.0, 0.5)
    ended = loop.fit(head, len(found), loss, None if asked is None else validate, part, stop=stop)
    with torch.no_grad():
        net.leave.weight.copy_(head.weight / spread)
        net.leave.bias.copy_(head.bias - (head.weight / spread) @ mean)
    return ended.best_epoch


def _augmented(learner: Learner, most: int) -> Callable[[Tensor], Tensor]:
    def seen(pixels: Tensor) -> Tensor:
        pictures = moved(pixels, most, most)
        return learner.net.scaled(mirrored(pictures) if learner.mirrors else pictures)

    return seen
