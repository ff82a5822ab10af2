"""Text families: texts in; a vocabulary of n-grams and a net over their weights out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, median_low
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modelmill.training.bags import Bags, Texts, bags_of, texts_of, wanted_of
from modelmill.training.families import Fitted, Settings
from modelmill.training.logistic import SparseRows, fit
from modelmill.training.loop import Loop
from modelmill.training.nets import Net
from modelmill.training.nets.ngram import NgramNet, kept
from modelmill.training.objective import Classes, Measure
from modelmill.training.rows import Rows
from modelmill.training.run import Run

_PENALTIES = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
"""Strength of the L2 penalty, strongest first: each fit starts from the one before."""
_POWERS = (0.5, 1.0, 0.0)
"""Of the evidence in an n-gram's weight, the likeliest first; 0 is TF-IDF."""
_WORSE = 1.005
"""Weaker penalties are not tried once the loss is so much above the least: they overfit more."""
_DECREASE = 1e-3
"""A fit ends where a few steps lessen its loss by no more than this share: validation losses differ by less."""
_MOST_TRIED = len(_PENALTIES) + 2 * len(_POWERS)
_MAX_WEIGHTS = 2_000_000
"""Most values of the linear table: with many classes the vocabulary shrinks, and the model stays a few megabytes."""
_TEACHER = 0.7
"""Share of the teacher's answer in what a student learns; the rest is the label (Hinton et al. 2015, §2)."""
_HELD_OUT = 10
"""One row in so many chooses a student's settings."""
_EMBEDDING_POWER = 0.5


class _Found(NamedTuple):
    """A fit: its loss on the validation rows, calibrated; net and raw outputs of those rows."""

    loss: float
    net: NgramNet
    raw: Tensor
    settings: Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class NgramLinear:
    """A linear model on weighted n-grams of words and pieces of words: logistic regression, or ridge for a measure.

    Weighting, pieces and L2 penalty are those with the least validation loss after calibration.
    """

    vocabulary: int = 100_000
    pieces: int = 40_000
    min_rows: int = 2

    def fit(self, train: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn; takes seconds, so there is no checkpoint: an interrupted fit begins anew."""
        texts, found = self._search(train, _wanted(train, run), validation, run)
        preprocess, net = _without_unused(texts, found.net)
        return Fitted(preprocess, net, found.raw, found.settings)

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> tuple[dict[str, Any], Net]:
        """With the median penalty, and the weighting and pieces of most fits."""
        return self._learn(rows, _wanted(rows, run), settings, run)

    def fit_soft(self, rows: Rows, probabilities: Tensor, run: Run) -> tuple[dict[str, Any], Net]:
        """A student of a teacher's answers for those rows, float32 [rows, K], mixed with the rows' own targets.

        Answers are probabilities, or a measure in its own unit. Settings are chosen on every tenth row.
        """
        objective = run.objective
        if isinstance(objective, Measure):
            probabilities = (probabilities - objective.mean) / objective.spread
        wanted = _TEACHER * probabilities.view(len(rows), -1) + (1 - _TEACHER) * _wanted(rows, run)
        held_out = np.arange(len(rows)) % _HELD_OUT == _HELD_OUT - 1
        learnt, rest = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        _, found = self._search(rows.take(learnt), wanted[torch.from_numpy(learnt)], rows.take(rest), run)
        return self._learn(rows, wanted, [found.settings], run)

    def _texts(self, rows: Rows, wanted: Tensor, run: Run, *, pieces: bool) -> Texts:
        most = _MAX_WEIGHTS // run.objective.outputs
        return texts_of(
            rows,
            wanted,
            run,
            size=min(self.vocabulary, most),
            pieces=min(self.pieces, most) if pieces else 0,
            min_rows=self.min_rows,
        )

    def _search(self, train: Rows, wanted: Tensor, validation: Rows, run: Run) -> tuple[Texts, _Found]:
        """The best fit, one choice after the other: the power of evidence, then pieces."""
        texts = self._texts(train, wanted, run, pieces=True)
        held_out, target = bags_of(validation, texts.preprocess), run.objective.target(validation)
        path = _Path(texts, wanted, held_out, target, run)
        best = path.best(_POWERS[0], texts.has_pieces, _PENALTIES)
        for power in _POWERS[1:]:
            best = path.better(best, power, texts.has_pieces)
        if texts.has_pieces:
            best = path.better(best, best.settings["power"], pieces=False)
        return texts, best

    def _learn(
        self, rows: Rows, wanted: Tensor, settings: Sequence[Settings], run: Run
    ) -> tuple[dict[str, Any], NgramNet]:
        pieces = sum(chosen["pieces"] for chosen in settings) * 2 > len(settings)
        texts = self._texts(rows, wanted, run, pieces=pieces)
        scale = texts.scale(median_low([chosen["power"] for chosen in settings]), pieces)
        penalty = median_low([chosen["penalty"] for chosen in settings])
        solution = fit(
            SparseRows.of(*texts.bags.weighted(scale), len(scale)),
            wanted,
            wanted.shape[1],
            penalty,
            answers=run.objective.answers,
            row_weights=_row_weights(wanted, run),
            decrease=_DECREASE,
        )
        return _without_unused(texts, _linear_net(texts, scale, solution))


class _Path:
    """Fits of one set of training rows from the strongest penalty to weaker ones, each measured."""

    def __init__(self, texts: Texts, wanted: Tensor, held_out: Bags, target: Tensor, run: Run) -> None:
        self.texts, self.wanted, self.held_out, self.target, self.run = texts, wanted, held_out, target, run
        self.weights = _row_weights(wanted, run)
        self.rows: SparseRows | None = None
        self.tried = 0

    def better(self, best: _Found, power: float, pieces: bool) -> _Found:
        """The better of the best so far and another weighting: at its penalty, then at a weaker one if that helps."""
        place = _PENALTIES.index(best.settings["penalty"])
        return min(best, self.best(power, pieces, _PENALTIES[place : place + 2]), key=lambda found: found.loss)

    def best(self, power: float, pieces: bool, penalties: Sequence[float]) -> _Found:
        """The least validation loss with that weighting; `penalties` get weaker."""
        scale = self.texts.scale(power, pieces)
        held_out = self.held_out.weighted(scale)
        found: list[_Found] = []
        for penalty, solution in self._solutions(scale, penalties):
            net = _linear_net(self.texts, scale, solution)
            raw = _raw(net, held_out)
            loss = _calibrated_loss(raw, self.target, self.run)
            self.tried += 1
            line = f"{self.tried} settings tried, {self.run.objective.measure} {loss:.4f}"
            self.run.progress(min(self.tried / _MOST_TRIED, 1.0), line)
            found.append(_Found(loss, net, raw, {"penalty": penalty, "power": power, "pieces": pieces}))
            if loss > min(each.loss for each in found) * _WORSE or self.run.late():
                break
        return min(found, key=lambda each: each.loss)

    def _solutions(self, scale: Tensor, penalties: Sequence[float]) -> Iterator[tuple[float, Tensor]]:
        bags = self.texts.bags.weighted(scale)
        self.rows = self.rows.valued(bags.values) if self.rows else SparseRows.of(*bags, len(scale))
        outputs, answers = self.wanted.shape[1], self.run.objective.answers
        solution: Tensor | None = None
        for penalty in penalties:
            solution = fit(
                self.rows,
                self.wanted,
                outputs,
                penalty,
                solution,
                answers=answers,
                row_weights=self.weights,
                decrease=_DECREASE,
            )
            yield penalty, solution


def _wanted(rows: Rows, run: Run) -> Tensor:
    return wanted_of(run.objective.target(rows), run.objective.outputs)


def _row_weights(wanted: Tensor, run: Run) -> Tensor | None:
    """Those of the rows' classes."""
    if not isinstance(run.objective, Classes) or run.objective.weights is None:
        return None
    weights = wanted.double() @ run.objective.weights.double()
    return weights / weights.mean()


def _calibrated_loss(raw: Tensor, target: Tensor, run: Run) -> float:
    """What is compared is what is served: outputs at the temperature that suits them."""
    scale = 1.0 if run.objective.answers == "regression" else run.objective.calibrate(raw, target).scale
    return run.objective.scores(raw * scale, target)[run.objective.measure]


def _linear_net(texts: Texts, scale: Tensor, weights: Tensor) -> NgramNet:
    net = NgramNet(scale, weights.shape[1], None, texts.share)
    table = weights[:-1].float()
    table[0] = 0
    net.load_state_dict(net.state_dict() | {"table": table, "bias": weights[-1].float()})
    return net.eval()


def _without_unused(texts: Texts, net: NgramNet) -> tuple[dict[str, Any], NgramNet]:
    """Without n-grams of no weight."""
    return kept(net, texts.preprocess, torch.nonzero(net.idf).flatten())


@torch.no_grad()
def _raw(net: NgramNet, bags: Bags) -> Tensor:
    """Raw outputs of rows of weights."""
    return net.bags(bags.ids, bags.values, bags.offsets[:-1])


@dataclass(frozen=True, kw_only=True, slots=True)
class NgramEmbedding:
    """A weighted sum of n-gram embeddings, ReLU, linear layer (after fastText, Joulin et al. 2016)."""

    vocabulary: int = 30_000
    min_rows: int = 2
    dim: int = 16
    epochs: int = 12
    dropout: float = 0.3

    def fit(self, train: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn with the loop; dropout leaves out whole n-grams."""
        texts = self._texts(train, run)
        net = self._net(texts, run)
        held_out, target = (
            bags_of(validation, texts.preprocess).weighted(net.idf.cpu()),
            run.objective.target(validation),
        )
        there, wanted = _at(held_out, run.device), target.to(run.device)

        def validate() -> float:
            return run.objective.scores(_raw(net, there), wanted)[run.objective.measure]

        ended = self._loop(len(train)).fit(net, len(train), self._loss(net, texts, train, run), validate, run)
        return Fitted(texts.preprocess, net.cpu(), _raw(net, held_out), {"epochs": ended.best_epoch})

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> tuple[dict[str, Any], Net]:
        """So many epochs as were best in the mean."""
        texts = self._texts(rows, run)
        net = self._net(texts, run)
        stop = max(1, round(mean(chosen["epochs"] for chosen in settings)))
        self._loop(len(rows)).fit(net, len(rows), self._loss(net, texts, rows, run), None, run, stop=stop)
        return texts.preprocess, net.cpu()

    def _texts(self, rows: Rows, run: Run) -> Texts:
        return texts_of(rows, _wanted(rows, run), run, size=self.vocabulary, pieces=0, min_rows=self.min_rows)

    def _net(self, texts: Texts, run: Run) -> NgramNet:
        torch.manual_seed(run.seed)
        net = NgramNet(texts.scale(_EMBEDDING_POWER, pieces=False), self.dim, run.objective.outputs, texts.share)
        torch.nn.init.normal_(net.table, std=0.1)
        return net.to(run.device)

    def _loss(self, net: NgramNet, texts: Texts, rows: Rows, run: Run) -> Callable[[Tensor], Tensor]:
        bags = _at(texts.bags.weighted(net.idf.cpu()), run.device)
        target = run.objective.target(rows).to(run.device)

        def loss_of(index: Tensor) -> Tensor:
            batch = bags.batch(index)
            kept_weights = functional.dropout(batch.values, self.dropout)
            return run.objective.loss(net.bags(batch.ids, kept_weights, batch.offsets[:-1]), target[index])

        return loss_of

    def _loop(self, rows: int) -> Loop:
        return Loop(epochs=self.epochs, batch=max(16, min(128, rows // 40)), learning_rate=3e-3, patience=3)


def _at(bags: Bags, device: torch.device) -> Bags:
    return Bags(*(part.to(device) for part in bags))
