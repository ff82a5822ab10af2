"""Families for sounds: columns of sound files in; one rate and length for all, and a net over spectrograms, out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from modelmill.serving.features.audio import AudioFeatures, length_of
from modelmill.training.augment import later, without_bands
from modelmill.training.families import Fitted, Settings
from modelmill.training.families.convolution import Learner, Pictures, chosen_epochs, epochs_for, loss_of, train
from modelmill.training.nets import Net
from modelmill.training.nets.convolutional import shape_for
from modelmill.training.nets.spectrogram import AudioNet
from modelmill.training.rows import Rows
from modelmill.training.run import Run

_SLICE = 256
_LONG = 0.95
"""Of the sounds are heard whole."""
_WINDOW, _HOP = 0.032, 0.010
"""Seconds: long enough to tell the harmonics of a voice, short enough for its syllables."""
_LEAST = 0.25
"""Seconds."""


def preprocess_of(rows: Rows, run: Run, most_rate: int, most_seconds: float) -> dict[str, Any]:
    """What preprocess.json says of the sounds: the rate that most of them have, and a length that few exceed."""
    inputs = [column.name for column in run.spec.inputs if column.kind == "audio"]
    cells = (cell for name in inputs for cell in rows.columns[name])
    lengths = [length for cell in cells if isinstance(cell, bytes) and (length := length_of(cell))]
    found = np.array(lengths or [(most_rate, most_rate)], dtype=np.float64)
    rates, counts = np.unique(found[:, 1], return_counts=True)
    rate = min(most_rate, int(rates[counts.argmax()]))
    seconds = min(most_seconds, max(_LEAST, float(np.quantile(found[:, 0] / found[:, 1], _LONG))))
    return {"kind": "audio", "inputs": inputs, "rate": rate, "samples": round(seconds * rate)}


@dataclass(frozen=True, kw_only=True, slots=True)
class LogMelCnn:
    """A small residual net over log-mel spectrograms, of which bands and frames are left out (Park et al. 2019).

    `frames` is the most that a spectrogram has: of long sounds they are further apart.
    """

    costly: ClassVar[bool] = True
    width: int = 12
    rate: int = 16_000
    seconds: float = 10.0
    bands: int = 40
    frames: int = 250
    passes: int = 100_000
    epochs: int = 40
    learning_rate: float = 5e-3

    def fit(self, train_rows: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn as many epochs as `passes` and `epochs` allow, and keep the best."""
        preprocess = preprocess_of(train_rows, run, self.rate, self.seconds)
        learner, rows = self.prepare(preprocess, train_rows, run, run.objective.outputs)
        target = run.objective.target(validation)
        asked = Pictures(levels_of(learner.net, preprocess, validation, run), target.to(run.device))
        epochs = epochs_for(len(train_rows), self.passes, self.epochs)

        def validate() -> float:
            return run.objective.scores(learner.outputs(asked).cpu(), target)[run.objective.measure]

        loss = loss_of(learner, rows, augmented(learner), run)
        ended = train(learner, loss, len(train_rows), validate, run, epochs=epochs, learning_rate=self.learning_rate)
        settings = {"best_epoch": ended.best_epoch, "epochs": epochs}
        raw = learner.outputs(asked).cpu()
        return Fitted(preprocess, learner.net.cpu(), raw, settings)

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> tuple[dict[str, Any], Net]:
        """Learn from all rows for as many epochs."""
        preprocess = preprocess_of(rows, run, self.rate, self.seconds)
        learner, learnt = self.prepare(preprocess, rows, run, run.objective.outputs)
        stop, epochs = chosen_epochs(settings)
        loss = loss_of(learner, learnt, augmented(learner), run)
        train(learner, loss, len(rows), None, run, epochs=epochs, learning_rate=self.learning_rate, stop=stop)
        return preprocess, learner.net.cpu()

    def prepare(self, preprocess: dict[str, Any], rows: Rows, run: Run, outputs: int) -> tuple[Learner, Pictures]:
        """A net that scales by the rows' spectrograms, and those."""
        rate, samples = preprocess["rate"], preprocess["samples"]
        window, hop = round(_WINDOW * rate), max(round(_HOP * rate), samples // self.frames)
        torch.manual_seed(run.seed)
        net = AudioNet(
            columns=len(preprocess["inputs"]),
            samples=samples,
            mel={"rate": rate, "window": window, "hop": hop, "bands": self.bands},
            body={"channels": 1, "width": self.width, **shape_for(self.bands, (samples - window) // hop + 1)},
            outputs=outputs,
        ).to(run.device)
        levels = levels_of(net, preprocess, rows, run)
        net.mean.copy_(levels.mean(dim=(0, 1, 3)))
        net.inverse_spread.copy_(1 / (levels - net.mean[:, None]).std().clamp(min=1e-3))
        return Learner(net).to(run.device), Pictures(levels, run.objective.target(rows).to(run.device))


@torch.no_grad()
def levels_of(net: Net, preprocess: dict[str, Any], rows: Rows, run: Run) -> Tensor:
    """The spectrograms [rows · N, 1, bands, frames], computed once, some hundred rows at a time."""
    if not isinstance(net, AudioNet):
        raise TypeError("only a net of sounds has spectrograms")
    features, parts = AudioFeatures(preprocess), []
    for start in range(0, len(rows), _SLICE):
        sounds = torch.from_numpy(features.arrays(rows.part(start, start + _SLICE))["sounds"])
        parts.append(net.mel(sounds.to(run.device).flatten(0, 1)))
    return torch.cat(parts)


def augmented(learner: Learner) -> Callable[[Tensor], Tensor]:
    """What a net learns from: spectrograms moved and scaled, and bands and frames of each left out."""

    def seen(levels: Tensor) -> Tensor:
        bands, frames = levels.shape[2:]
        return without_bands(learner.net.scaled(later(levels, frames // 10)), bands // 5, frames // 8)

    return seen
