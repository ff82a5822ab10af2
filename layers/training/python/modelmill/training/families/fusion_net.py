"""The family of mixed rows with images or sounds: columns of every kind in; one net of all of them out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modelmill.serving.features import TabularFeatures
from modelmill.training.bags import Bags, bags_of, texts_of, wanted_of
from modelmill.training.families import Fitted, Settings
from modelmill.training.families import audio as sounds
from modelmill.training.families import image as images
from modelmill.training.families.convolution import Learner, Pictures, chosen_epochs, epochs_for, smoothed, train
from modelmill.training.families.fusion import run_of
from modelmill.training.families.tabular import tensors_of
from modelmill.training.nets import Net
from modelmill.training.nets.fusion_net import PartsNet
from modelmill.training.nets.ngram import NgramNet
from modelmill.training.nets.tabular import TabularNet
from modelmill.training.rows import Rows
from modelmill.training.run import Run
from modelmill.training.tables import prepare

_WIDTH = 32
"""Features of a part."""
_VOCABULARY, _MIN_ROWS = 30_000, 2
_EVIDENCE = 0.5
_DROPOUT = 0.3
"""Share of a row's n-grams that are left out."""
_CHUNK = 256
"""Rows that are answered at a time."""

Vectors = Callable[[Tensor], Tensor]
"""Features float32 [B, width] of rows by their numbers int64 [B]."""


class Part(NamedTuple):
    """A part of the net: features of the training rows as it learns from them, and of other rows as they are."""

    preprocess: dict[str, Any]
    net: Net
    learnt: Vectors
    vectors: Callable[[Rows], Vectors]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fusion:
    """Embedded n-grams, a table, and convolutional nets of images and sounds, learnt together (late fusion).

    `width` and `side` are those of the images' net, `passes` is how many rows are seen in all, about. Images are moved
    and have a part left out, as are sounds; none are mirrored: what else a row says may be of left and right.
    """

    costly: ClassVar[bool] = True
    width: int = 16
    side: int = 64
    passes: int = 120_000
    epochs: int = 40
    learning_rate: float = 5e-3

    def fit(self, train_rows: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn as many epochs as `passes` and `epochs` allow, and keep the best."""
        parts = self._parts(train_rows, run)
        net = _net(parts, run)
        asked = [part.vectors(validation) for part in parts.values()]
        numbers = torch.split(torch.arange(len(validation), device=run.device), _CHUNK)
        target = run.objective.target(validation)

        @torch.no_grad()
        def outputs() -> Tensor:
            return torch.cat([net.answer([vectors(chunk) for vectors in asked]) for chunk in numbers]).cpu()

        def validate() -> float:
            return run.objective.scores(outputs(), target)[run.objective.measure]

        epochs = epochs_for(len(train_rows), self.passes, self.epochs)
        loss = _loss_of(net, parts, train_rows, run)
        ended = train(net, loss, len(train_rows), validate, run, epochs=epochs, learning_rate=self.learning_rate)
        raw = outputs()
        return Fitted(_preprocess(parts), net.cpu(), raw, {"best_epoch": ended.best_epoch, "epochs": epochs})

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> tuple[dict[str, Any], Net]:
        """Learn from all rows for as many epochs."""
        parts = self._parts(rows, run)
        net = _net(parts, run)
        stop, epochs = chosen_epochs(settings)
        loss = _loss_of(net, parts, rows, run)
        train(net, loss, len(rows), None, run, epochs=epochs, learning_rate=self.learning_rate, stop=stop)
        return _preprocess(parts), net.cpu()

    def _parts(self, rows: Rows, run: Run) -> dict[str, Part]:
        """What the columns need; the seed is set anew for each, so that they do not depend on each other."""
        kinds = {column.kind for column in run.spec.inputs}
        parts: dict[str, Part] = {}
        if "text" in kinds:
            parts["text"] = _text(rows, run)
        table = sorted(kinds - {"text", "image", "audio"})
        if table:
            parts["table"] = _table(rows, run_of(run, table))
        if "image" in kinds:
            parts["image"] = self._image(rows, run)
        if "audio" in kinds:
            parts["audio"] = _audio(rows, run)
        return parts

    def _image(self, rows: Rows, run: Run) -> Part:
        family = images.Cnn(width=self.width, side=self.side)
        preprocess, pixels = family.read(rows, run)
        learner = family.learner(preprocess, pixels, run, mirrors=False, outputs=_WIDTH)

        def shown(asked: Rows) -> Pictures:
            pixels = images.pixels_of(preprocess, asked)
            return images.pictures_of(pixels, run.objective.target(asked), run.device)

        learnt = images.pictures_of(pixels, run.objective.target(rows), run.device)
        return _pictured(preprocess, learner, learnt, images.augmented(learner, preprocess), shown)


def _text(rows: Rows, run: Run) -> Part:
    """Weighted n-grams, embedded and summed (after fastText, Joulin et al. 2016)."""
    wanted = wanted_of(run.objective.target(rows), run.objective.outputs)
    texts = texts_of(rows, wanted, run_of(run, ("text",)), size=_VOCABULARY, pieces=0, min_rows=_MIN_ROWS)
    scale = texts.scale(_EVIDENCE, pieces=False)
    torch.manual_seed(run.seed)
    net = NgramNet(scale, _WIDTH, None, texts.share)
    torch.nn.init.normal_(net.table, std=0.1)
    net.to(run.device)

    def vectors(bags: Bags, *, dropout: float = 0.0) -> Vectors:
        there = Bags(*(part.to(run.device) for part in bags.weighted(scale)))

        def summed(index: Tensor) -> Tensor:
            batch = there.batch(index)
            return net.bags(batch.ids, functional.dropout(batch.values, dropout), batch.offsets[:-1])

        return summed

    learnt = vectors(texts.bags, dropout=_DROPOUT)
    return Part(texts.preprocess, net, learnt, lambda asked: vectors(bags_of(asked, texts.preprocess)))


def _table(rows: Rows, run: Run) -> Part:
    """A linear map of numbers in piecewise-linear bins and one-hot categories."""
    data = prepare(rows, rows.take(np.arange(0)), run)
    torch.manual_seed(run.seed)
    net = TabularNet(tensors_of(data), _WIDTH)
    columns = len(net.numbers.fill) + len(net.starts)
    for weights in (net.weight, net.table):
        torch.nn.init.normal_(weights, std=columns**-0.5)
    net.to(run.device)

    def vectors(arrays: Mapping[str, Tensor]) -> Vectors:
        there = {name: tensor.to(run.device) for name, tensor in arrays.items()}

        def mapped(index: Tensor) -> Tensor:
            # Numbers need their digits: half of them are lost in half precision.
            with torch.autocast(run.device.type, enabled=False):
                found: Tensor = net(**{name: tensor[index] for name, tensor in there.items()})
            return found

        return mapped

    def read(asked: Rows) -> Vectors:
        arrays = TabularFeatures(data.preprocess).arrays(asked.columns)
        return vectors({name: torch.from_numpy(array) for name, array in arrays.items()})

    return Part(data.preprocess, net, vectors(data.train), read)


def _audio(rows: Rows, run: Run) -> Part:
    family = sounds.LogMelCnn()
    preprocess = sounds.preprocess_of(rows, run, family.rate, family.seconds)
    learner, learnt = family.prepare(preprocess, rows, run, _WIDTH)

    def shown(asked: Rows) -> Pictures:
        levels = sounds.levels_of(learner.net, preprocess, asked, run)
        return Pictures(levels, run.objective.target(asked).to(run.device))

    return _pictured(preprocess, learner, learnt, sounds.augmented(learner), shown)


def _pictured(
    preprocess: dict[str, Any],
    learner: Learner,
    learnt: Pictures,
    seen: Callable[[Tensor], Tensor],
    shown: Callable[[Rows], Pictures],
) -> Part:
    """The part of images or of sounds: `seen` augments pictures, `shown` reads those of other rows."""
    net = learner.net

    def vectors(asked: Rows) -> Vectors:
        pictures = shown(asked)
        return lambda index: net.answer(net.scaled(pictures.of(index)))

    return Part(preprocess, net, lambda index: net.answer(seen(learnt.of(index))), vectors)


def _net(parts: Mapping[str, Part], run: Run) -> PartsNet:
    torch.manual_seed(run.seed)
    nets = {name: part.net for name, part in parts.items()}
    return PartsNet(nets, _WIDTH, run.objective.outputs).to(run.device)


def _preprocess(parts: Mapping[str, Part]) -> dict[str, Any]:
    return {"kind": "parts", "parts": {name: part.preprocess for name, part in parts.items()}}


def _loss_of(net: PartsNet, parts: Mapping[str, Part], rows: Rows, run: Run) -> Callable[[Tensor], Tensor]:
    target = run.objective.target(rows).to(run.device)

    def loss(index: Tensor) -> Tensor:
        raw = net.answer([part.learnt(index) for part in parts.values()])
        return smoothed(raw.float(), target[index], run)

    return loss
