"""How families of convolutional nets learn: pictures of rows, an augmentation and a net in, trained weights out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelmill.training.families import Settings
from modelmill.training.loop import Ended, Loop
from modelmill.training.nets.convolutional import ImageNet
from modelmill.training.nets.spectrogram import AudioNet
from modelmill.training.objective import Classes
from modelmill.training.run import Run

_CHUNK = 256
"""Rows that are answered at a time."""
_SMOOTHING = 0.1
_AXES = 4
"""Of a convolution's weights, and of pictures."""
_FEWEST_EPOCHS = 12


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures [n · N, C, H, W] of n rows with N pictures each, as they are stored, and the rows' target."""

    pixels: Tensor
    target: Tensor

    def of(self, index: Tensor) -> Tensor:
        """The pictures [B · N, C, H, W] of the rows with these numbers."""
        each = len(self.pixels) // len(self.target)
        if each == 1:
            return self.pixels[index]
        return self.pixels[(index[:, None] * each + torch.arange(each, device=index.device)).flatten()]


class Learner(nn.Module):
    """A net while it learns. What is decided on the way is in tensors, so that a checkpoint has it."""

    age: Tensor
    mirrors: Tensor

    def __init__(self, net: ImageNet | AudioNet, *, mirrors: bool = False) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("age", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mirrors", torch.tensor(mirrors))

    @torch.no_grad()
    def outputs(self, rows: Pictures, *, mirrored: bool = False) -> Tensor:
        """Raw outputs float32 [n, K] of all rows, their pictures mirrored if said."""
        found = []
        for chunk in torch.split(torch.arange(len(rows.target), device=rows.pixels.device), _CHUNK):
            pictures = self.net.scaled(rows.of(chunk))
            found.append(self.net.answer(pictures.flip(3) if mirrored else pictures))
        return torch.cat(found)


def loss_of(learner: Learner, rows: Pictures, seen: Callable[[Tensor], Tensor], run: Run) -> Callable[[Tensor], Tensor]:
    """The mean loss of rows by their numbers, as `seen` augments and scales their pictures."""

    def loss(index: Tensor) -> Tensor:
        return smoothed(learner.net.answer(seen(rows.of(index))).float(), rows.target[index], run)

    return loss


def smoothed(raw: Tensor, target: Tensor, run: Run) -> Tensor:
    """The mean loss; that of classes is smoothed (Szegedy et al. 2016).

    A label can be wrong, and a small net need not be certain.
    """
    found = run.objective.loss(raw, target)
    if isinstance(run.objective, Classes):
        even = -functional.log_softmax(raw, dim=1).mean()
        found = (1 - _SMOOTHING) * found + _SMOOTHING * even
    return found


def epochs_for(rows: int, passes: int, most: int) -> int:
    """As many epochs, from 12 (or fewer, if no more are wanted) to `most`, as make about `passes` pictures."""
    return min(most, max(_FEWEST_EPOCHS, passes // rows))


def chosen_epochs(settings: Sequence[Settings]) -> tuple[int, int]:
    """Of the fits' epochs: the mean of the best ones, and how many the schedule was made for."""
    best = sum(setting["best_epoch"] for setting in settings) / len(settings)
    return max(1, round(best)), max(setting["epochs"] for setting in settings)


def train(
    learner: nn.Module,
    loss: Callable[[Tensor], Tensor],
    rows: int,
    validate: Callable[[], float] | None,
    run: Run,
    *,
    epochs: int,
    learning_rate: float,
    stop: int | None = None,
) -> Ended:
    """Train the learner's net in place, in half precision where the processor computes in it."""
    half = run.device.type == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False)
    loop = Loop(
        epochs=epochs,
        batch=max(16, min(64, rows // 40)),
        learning_rate=learning_rate,
        weight_decay=5e-2,
        precision="bf16" if half else "auto",
    )
    # Convolutions with channels last are what processors of both kinds are best at.
    for parameter in learner.parameters():
        if parameter.ndim == _AXES:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return loop.fit(learner, rows, loss, validate, run, stop=stop)
