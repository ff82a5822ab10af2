"""The training loop: a net and a loss in, the weights with the best validation loss out.

    ended = Loop(epochs=20, batch=64, learning_rate=3e-3).fit(net, rows, loss_of, validate, run)
    Loop(epochs=20, batch=64, learning_rate=3e-3).fit(net, all_rows, loss_of, None, run, stop=ended.best_epoch)

`Loop` holds a family's choices; what the recipe says (`training:`) overrules them, here and nowhere else. The first
line stops early and keeps the best weights; the second, a refit, repeats so many epochs and keeps the last.

Every epoch and every step is seeded by its number, so a loop that goes on from a checkpoint, also from within an epoch,
gives the same weights, bit by bit, as one that never stopped: all chance in `loss_of` must come from torch's generator.
"""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from modelmill.core.model.recipe import Training
from modelmill.training import batches, optimisers, parallel, schedules
from modelmill.training.progress import line
from modelmill.training.run import Run

LossOf = Callable[[Tensor], Tensor]
_LOOKS = 8
"""Moves between two looks at the clock where all processes must see the same."""
_RATES: Mapping[optimisers.Name, float] = {"sgd": 0.1, "momentum": 0.03, "gradient-descent": 0.5}
"""Learning rates of those that a family does not choose, if the recipe chooses them and says no rate."""


class Ended(NamedTuple):
    """`epochs` that were run, and the one (counted from 1) whose weights were kept, with its validation loss.

    Without validation it is the last, and its loss the mean training loss.
    """

    epochs: int
    best_epoch: int
    best_loss: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Loop:
    """Settings of the loop; `fit` is the loop.

    `batch` counts the rows of one step, on all devices together; the gradients of `accumulate` steps make one move.
    `patience` epochs without a better validation loss end it (None: never). `factors` are of the learning rate, by how
    a parameter's name begins.
    """

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float = 1e-2
    patience: int | None = None
    optimiser: optimisers.Name = "adamw"
    schedule: schedules.Name = "one-cycle"
    accumulate: int = 1
    clip: float | None = 1.0
    precision: Literal["auto", "float32", "bf16"] = "auto"
    compile: bool = False
    factors: Mapping[str, float] = field(default_factory=dict)

    def fit(
        self,
        net: nn.Module,
        rows: int,
        loss_of: LossOf,
        validate: Callable[[], float] | None,
        run: Run,
        *,
        lengths: Tensor | None = None,
        stop: int | None = None,
    ) -> Ended:
        """Train `net` (on `run.device`) in place on `rows` rows, and leave it in evaluation mode.

        `loss_of` gives the mean loss of the rows with the given numbers (int64 [B], on the device); `validate` the
        validation loss of the net as it is, smaller is better, or None: the last weights are kept, after `stop` of the
        epochs if said, and else after `epochs`, whatever the recipe says. With `lengths` int64 [rows] the rows of a
        batch are alike long. When `run.late()`, it ends with the best so far.
        """
        loop = self.with_recipe(run.spec.recipe.training)
        if validate is None and stop is None:
            loop = replace(loop, epochs=self.epochs)
        fit = _Fit(
            loop,
            net=net,
            rows=rows,
            loss_of=loss_of,
            validate=validate,
            run=run,
            lengths=lengths,
            stop=stop or loop.epochs,
        )
        return fit.ended()

    def with_recipe(self, training: Training) -> "Loop":
        """These settings, overruled by what the recipe says."""
        said = training.model_dump(exclude_defaults=True, exclude={"class_weights"})
        chosen = training.optimiser or self.optimiser
        if chosen != self.optimiser and chosen in _RATES:
            said = {"learning_rate": _RATES[chosen]} | said
        return replace(self, **said)


@dataclass(slots=True)
class _Place:
    """Where a loop is: whole epochs, and moves of the next. Sums are of that epoch's training loss."""

    epoch: int = 0
    move: int = 0
    loss: float = 0.0
    stale: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf
    plateau: schedules.Plateau = field(default_factory=schedules.Plateau)
    history: list[dict[str, float]] = field(default_factory=list)


class _Fit:
    """One loop over one net."""

    def __init__(
        self,
        loop: Loop,
        *,
        net: nn.Module,
        rows: int,
        loss_of: LossOf,
        validate: Callable[[], float] | None,
        run: Run,
        lengths: Tensor | None,
        stop: int,
    ) -> None:
        self.loop, self.net, self.rows, self.validate, self.run = loop, net, rows, validate, run
        self.lengths = None if lengths is None else lengths.cpu()
        self.stop = min(stop, loop.epochs)
        self.ranks = parallel.ranks(net)
        self.loss_of = self.ranks.spread(loss_of, compiled=loop.compile)
        groups = optimisers.groups_of(net, loop.weight_decay, loop.factors)
        self.optimiser = optimisers.optimiser_of(loop.optimiser, groups)
        self.place = _Place()
        self.best: dict[str, Tensor] = {}
        self.late = False
        self.moves = len(self._moves(0))
        self._resume()

    def ended(self) -> Ended:
        """Train to the end."""
        place, patience = self.place, self.loop.patience or math.inf
        while place.epoch < self.stop and place.stale < patience and not self.late:
            self._epoch()
        self._save()
        self.ranks.gather()
        if self.best:
            self.net.load_state_dict(self.best)
        self.net.eval()
        # JSON has no word for the losses of a net that diverged.
        told = (epoch for epoch in place.history if all(map(math.isfinite, epoch.values())))
        self.run.history.extend({"part": self.run.name, **epoch} for epoch in told)
        return Ended(place.epoch, place.best_epoch, place.best_loss)

    def _epoch(self) -> None:
        place = self.place
        self.net.train()
        moves = self._moves(place.epoch)
        total = self._sum(place.loss if self.ranks.leads else 0.0)
        rate = self._rate()
        for steps in moves[place.move :]:
            rate = self._rate()
            total += self._move(steps)
            self.optimiser.step(rate)
            self.net.zero_grad(set_to_none=True)
            place.move += 1
            if self._interrupted(total):
                break
        seen = sum(len(step) for steps in moves[: place.move] for step in steps)
        self._end_epoch(self.ranks.sum(total) / seen, rate)

    def _moves(self, epoch: int) -> list[list[Tensor]]:
        """The batches of an epoch, those of one move together: as many for every epoch."""
        generator = torch.Generator().manual_seed(_seed(self.run.seed, epoch, 0, 0))
        if self.lengths is None:
            steps = batches.shuffled(self.rows, self.loop.batch, generator)
        else:
            steps = batches.bucketed(self.lengths, self.loop.batch, generator)
        together = len(steps) if self.loop.optimiser == "gradient-descent" else self.loop.accumulate
        return [steps[start : start + together] for start in range(0, len(steps), together)]

    def _rate(self) -> float:
        share = schedules.SCHEDULES[self.loop.schedule]
        done = self.place.epoch * self.moves + self.place.move
        return self.loop.learning_rate * self.place.plateau.factor * share(done, self.loop.epochs * self.moves)

    def _move(self, steps: list[Tensor]) -> Tensor:
        """Gradients of the mean loss of all rows of the steps; the sum of this process's losses, float64."""
        rows, total = sum(len(step) for step in steps), self._sum(0.0)
        for number, step in enumerate(steps):
            self._draw_anew(number)
            share, weight = self.ranks.share(step)
            with self.ranks.step(last=number == len(steps) - 1):
                with self._autocast():
                    loss = self.loss_of(share.to(self.run.device))
                torch.autograd.backward(loss * (weight * self.ranks.world / rows))
            total += loss.detach().double() * weight
        if self.loop.clip is not None:
            gradients = [optimisers.local(p.grad) for p in self.optimiser.parameters() if p.grad is not None]
            optimisers.clip(gradients, self.loop.clip, self.ranks.norm(gradients))
        return total

    def _sum(self, start: float) -> Tensor:
        return torch.tensor(start, dtype=torch.float64, device=self.run.device)

    def _draw_anew(self, step: int) -> None:
        seed = _seed(
            self.run.seed, self.place.epoch, self.place.move * self.loop.accumulate + step + 1, self.ranks.rank
        )
        # Not torch.manual_seed: it asks every kind of device, which costs more than the step of a small net.
        torch.default_generator.manual_seed(seed)
        if self.run.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _autocast(self) -> torch.autocast:
        kind, wanted = self.run.device.type, self.loop.precision
        half = wanted == "bf16" or (
            wanted == "auto" and kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        )
        return torch.autocast(kind, torch.bfloat16, enabled=half)

    def _interrupted(self, total: Tensor) -> bool:
        """Report, keep a checkpoint if it is time, and say whether the budget's time is over."""
        place = self.place
        if self.ranks.world > 1 and place.move % _LOOKS:
            return False
        done = (place.epoch + place.move / self.moves) / self.stop
        self.run.progress(min(done, 1.0), f"epoch {place.epoch + 1} of {self.stop}{self._said()}")
        if place.move < self.moves and parallel.agree(self.run.checkpoints.due()):
            place.loss = self.ranks.sum(total)
            self._save()
        self.late = self.run.late()
        return self.late

    def _end_epoch(self, training: float, rate: float) -> None:
        """Validate, keep what is best, and report."""
        place = self.place
        place.epoch, place.move, place.loss = place.epoch + 1, 0, 0.0
        self.net.eval()
        losses = {"training_loss": training}
        if self.validate is not None:
            with self.ranks.whole():
                losses["validation_loss"] = parallel.leader(self.validate())
        seen = losses.get("validation_loss", training)
        if self.validate is None or seen < place.best_loss:
            place.best_epoch, place.best_loss, place.stale = place.epoch, seen, 0
            self.best = {} if self.validate is None else self._weights()
        else:
            place.stale += 1
        if self.loop.schedule == "plateau":
            place.plateau.see(seen)
        place.history.append({"epoch": place.epoch, **losses, "learning_rate": rate})
        if self.ranks.leads:
            sys.stdout.write(line(self.run.name, place.history[-1]) + "\n")
        self.run.progress(place.epoch / self.stop, f"epoch {place.epoch} of {self.stop}{self._said()}")
        self.run.report(place.epoch, seen)
        if parallel.agree(self.run.checkpoints.due()):
            self._save()

    def _said(self) -> str:
        """The losses of the last epoch, for people."""
        last = self.place.history[-1:]
        return "".join(
            f", {name.replace('_', ' ')} {epoch[name]:.4f}" for epoch in last for name in epoch if "loss" in name
        )

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.ranks.tensors().items()}

    def _save(self) -> None:
        tensors = {f"net.{name}": tensor for name, tensor in self.ranks.tensors().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        tensors |= {f"optimiser.{name}": tensor for name, tensor in self.ranks.moments(self.optimiser).items()}
        if self.ranks.leads:
            self.run.checkpoints.save(tensors, asdict(self.place))

    def _resume(self) -> None:
        kept = self.ranks.load(self.run.checkpoints)
        if kept is None:
            return
        tensors, values = kept
        self.ranks.restore(_named(tensors, "net."), self.optimiser, _named(tensors, "optimiser."))
        self.best = {name: tensor.to(self.run.device) for name, tensor in _named(tensors, "best.").items()}
        self.place = _Place(**values | {"plateau": schedules.Plateau(**values["plateau"])})


def _named(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _seed(seed: int, epoch: int, step: int, rank: int) -> int:
    """A generator's seed for each step of a run: alike numbers give unlike seeds."""
    return int.from_bytes(blake2b(f"{seed}/{epoch}/{step}/{rank}".encode(), digest_size=7).digest())
