"""Schedules: how far training is in, the share of the full learning rate out."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Name = Literal["constant", "step", "cosine", "one-cycle", "linear", "plateau"]

_WARM_UP = 0.1
"""Share of the moves in which the rate rises."""
_START, _END = 1 / 25, 1 / 250_000
"""Of one-cycle: the shares of the full rate at its start and its end."""
_DROPS, _DROP = 3, 0.1
_WAIT, _LEAST_GAIN = 2, 1e-4


def constant(move: int, moves: int) -> float:  # noqa: ARG001
    """The full rate."""
    return 1.0


def step(move: int, moves: int) -> float:
    """A tenth after each third."""
    return _DROP ** (move // -(-moves // _DROPS))


def cosine(move: int, moves: int) -> float:
    """Half a cosine from the full rate to zero (Loshchilov and Hutter 2017)."""
    return (1 + math.cos(math.pi * move / moves)) / 2


def one_cycle(move: int, moves: int) -> float:
    """Up by half a cosine, then down by one to almost zero (Smith and Topin 2019)."""
    top, last = max(_WARM_UP * moves - 1, 0.0), moves - 1
    if move <= top:
        return _between(_START, 1.0, move / top if top else 1.0)
    return _between(1.0, _END, (move - top) / (last - top) if last > top else 1.0)


def linear(move: int, moves: int) -> float:
    """Up in a straight line, then down to zero in one (as BERT is fine-tuned, Devlin et al. 2019)."""
    warm = max(1, round(_WARM_UP * moves))
    return (move + 1) / warm if move < warm else (moves - move) / max(1, moves - warm)


def _between(start: float, stop: float, done: float) -> float:
    return stop + (start - stop) * (1 + math.cos(math.pi * done)) / 2


SCHEDULES: dict[Name, Callable[[int, int], float]] = {
    "constant": constant,
    "step": step,
    "cosine": cosine,
    "one-cycle": one_cycle,
    "linear": linear,
    "plateau": constant,
}
"""Share of the full rate at one move of so many, counted from 0. `plateau` falls by `Plateau` alone."""


@dataclass(slots=True)
class Plateau:
    """A tenth of the rate after more than two epochs without a gain, as torch's ReduceLROnPlateau has it."""

    factor: float = 1.0
    best: float = math.inf
    waited: int = 0

    def see(self, loss: float) -> None:
        """The loss after an epoch."""
        if loss < self.best * (1 - _LEAST_GAIN):
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > _WAIT:
            self.factor, self.waited = self.factor * _DROP, 0
