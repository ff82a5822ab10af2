"""Families for images: columns of image files in; one size for all, and a net that learns from nothing else, out."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from modelmill.serving.features.image import ImageFeatures, size_of
from modelmill.training.augment import mirrored, moved, without_square
from modelmill.training.families import Fitted, Settings
from modelmill.training.families.convolution import Learner, Pictures, chosen_epochs, epochs_for, loss_of, train
from modelmill.training.nets import Net
from modelmill.training.nets.convolutional import ImageNet, shape_for
from modelmill.training.rows import Rows
from modelmill.training.run import Run

_SLICE = 512
_SIDE = 8
"""Sides that are not those of the images are multiples of this."""
_SHAPES = 1 / 4, 4.0
_LOOK = 0.25
"""Of the epochs, after which it is asked whether images may be mirrored."""
_WORSE, _OF_NOTHING = 1.05, 0.01
"""What mirrored images may cost: so many times the loss, and that share of what knowing nothing costs."""


def preprocess_of(rows: Rows, run: Run, side: int) -> dict[str, Any]:
    """What preprocess.json says of the images: their own size if they are all alike and neither tiny nor large.

    Otherwise the shape is the middle one of all, and the area no larger than that of a square with `side`. Images are
    grey to the model if all of them are.
    """
    inputs = [column.name for column in run.spec.inputs if column.kind == "image"]
    cells = (cell for name in inputs for cell in rows.columns[name])
    sizes = [size for cell in cells if isinstance(cell, bytes) and (size := size_of(cell))]
    found = np.array(sizes or [(side, side)], dtype=np.int64)
    height, width = found[0].tolist()
    if (found != found[0]).any() or min(height, width) < _SIDE or max(height, width) > side:
        shape = float(np.clip(np.median(found[:, 1] / found[:, 0]), *_SHAPES))
        length = min(side, float(np.median(np.sqrt(found.prod(axis=1)))))
        height, width = (max(1, round(length * math.sqrt(part) / _SIDE)) * _SIDE for part in (1 / shape, shape))
    return {"kind": "image", "inputs": inputs, "height": height, "width": width, "channels": 3}


def pixels_of(preprocess: dict[str, Any], rows: Rows) -> Tensor:
    """The images uint8 [rows, N, H, W, C], read some hundred rows at a time."""
    features = ImageFeatures(preprocess)
    parts = [features.arrays(rows.part(start, start + _SLICE))["images"] for start in range(0, len(rows), _SLICE)]
    return torch.from_numpy(np.concatenate(parts))


def pictures_of(pixels: Tensor, target: Tensor, device: torch.device) -> Pictures:
    """The same images one by one, [rows · N, C, H, W], laid out as they were: channels last."""
    return Pictures(pixels.flatten(0, 1).permute(0, 3, 1, 2).to(device), target.to(device))


@dataclass(frozen=True, kw_only=True, slots=True)
class Cnn:
    """A small residual net (He et al. 2016), learnt from images that are moved and have a part left out.

    They are mirrored too, if a net that has seen none mirrored answers mirrored validation images as well: photographs
    may be, letters may not. `passes` is how many images are seen in all, about.
    """

    costly: ClassVar[bool] = True
    width: int = 16
    side: int = 64
    passes: int = 160_000
    epochs: int = 60
    learning_rate: float = 5e-3

    def fit(self, train_rows: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn as many epochs as `passes` and `epochs` allow, and keep the best."""
        preprocess, pixels = self.read(train_rows, run)
        learner = self.learner(preprocess, pixels, run, mirrors=False, outputs=run.objective.outputs)
        rows = pictures_of(pixels, run.objective.target(train_rows), run.device)
        asked = pictures_of(pixels_of(preprocess, validation), run.objective.target(validation), run.device)
        epochs, target = epochs_for(len(train_rows), self.passes, self.epochs), run.objective.target(validation)
        look = max(1, round(epochs * _LOOK))

        def score(outputs: Tensor) -> float:
            return run.objective.scores(outputs.cpu(), target)[run.objective.measure]

        def indifferent(plain: float) -> bool:
            outputs = learner.outputs(asked, mirrored=True)
            return score(outputs) <= plain * _WORSE + score(torch.zeros_like(outputs)) * _OF_NOTHING

        def validate() -> float:
            found = score(learner.outputs(asked))
            learner.age += 1
            if int(learner.age) == look:
                learner.mirrors.fill_(indifferent(found))
            return found

        loss = loss_of(learner, rows, augmented(learner, preprocess), run)
        ended = train(learner, loss, len(train_rows), validate, run, epochs=epochs, learning_rate=self.learning_rate)
        # The best epoch may be one from before it was asked.
        learner.net.mirrors = bool(learner.mirrors) or indifferent(score(learner.outputs(asked)))
        settings = {"best_epoch": ended.best_epoch, "epochs": epochs, "mirrors": learner.net.mirrors}
        raw = learner.outputs(asked).cpu()
        return Fitted(preprocess, learner.net.cpu(), raw, settings)

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> tuple[dict[str, Any], Net]:
        """Learn from all rows, mirrored from the start if most fits mirrored, for as many epochs."""
        preprocess, pixels = self.read(rows, run)
        mirrors = 2 * sum(setting["mirrors"] for setting in settings) > len(settings)
        learner = self.learner(preprocess, pixels, run, mirrors=mirrors, outputs=run.objective.outputs)
        learnt = pictures_of(pixels, run.objective.target(rows), run.device)
        stop, epochs = chosen_epochs(settings)
        loss = loss_of(learner, learnt, augmented(learner, preprocess), run)
        train(learner, loss, len(rows), None, run, epochs=epochs, learning_rate=self.learning_rate, stop=stop)
        learner.net.mirrors = mirrors
        return preprocess, learner.net.cpu()

    def read(self, rows: Rows, run: Run) -> tuple[dict[str, Any], Tensor]:
        """Preprocessing and images uint8 [rows, N, H, W, C]: one channel if all are grey."""
        preprocess = preprocess_of(rows, run, self.side)
        pixels = pixels_of(preprocess, rows)
        if bool((pixels == pixels[..., :1]).all()):
            preprocess["channels"], pixels = 1, pixels[..., :1].contiguous()
        return preprocess, pixels

    def learner(self, preprocess: dict[str, Any], pixels: Tensor, run: Run, *, mirrors: bool, outputs: int) -> Learner:
        """A new net that scales by those images."""
        height, width, channels = (int(preprocess[name]) for name in ("height", "width", "channels"))
        torch.manual_seed(run.seed)
        net = ImageNet(
            columns=len(preprocess["inputs"]),
            height=height,
            across=width,
            body={"channels": channels, "width": self.width, **shape_for(height, width)},
            outputs=outputs,
        )
        shown = pixels[:: max(1, len(pixels) // 5_000)].float().flatten(0, -2)
        net.mean.copy_(shown.mean(0))
        net.inverse_spread.copy_(1 / shown.std(0).clamp(min=1.0))
        return Learner(net, mirrors=mirrors).to(run.device)


def augmented(learner: Learner, preprocess: dict[str, Any]) -> Callable[[Tensor], Tensor]:
    """What a net learns from: pictures moved, mirrored if they may be, scaled, and a square of each left out."""
    height, width = preprocess["height"], preprocess["width"]

    def seen(pixels: Tensor) -> Tensor:
        pictures = moved(pixels, height // 8, width // 8)
        if learner.mirrors:
            pictures = mirrored(pictures)
        return without_square(learner.net.scaled(pictures), height // 4, width // 4)

    return seen
