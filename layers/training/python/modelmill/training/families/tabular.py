"""Tabular families: raw columns in; imputation, scaling, category lists and a net over them out."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelmill.training.bags import Bags
from modelmill.training.families import Fitted, Settings
from modelmill.training.logistic import SparseRows, fit_objective, predict
from modelmill.training.loop import Loop
from modelmill.training.nets import Net
from modelmill.training.nets.tabular import LIMIT, TabMNet, TabularNet
from modelmill.training.rows import Rows
from modelmill.training.run import Run
from modelmill.training.tables import Prepared, prepare

_PENALTIES = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
_BINS = 16
_BIN_COLUMNS = 1_024
"""Most columns that the bins of all numbers make together: wide tables get fewer bins per number."""
_ROWS_PER_BIN = 20
_WORSE = 1.02
"""Once the loss is so many times the best, weaker penalties only overfit more."""
_FAR = 1e6
"""Standard deviations that a number may be away where nothing is to be cut."""


def tensors_of(data: Prepared, bins: int = _BINS, limit: float = LIMIT) -> dict[str, Tensor]:
    """What the nets take from the training rows before they learn."""
    found = _number_tensors(data.train["numbers"].numpy(), bins, limit)
    tensors = {f"numbers.{name}": tensor for name, tensor in found.items()}
    tensors["sizes"] = torch.tensor(data.sizes, dtype=torch.int64)
    tensors["starts"] = tensors["sizes"].cumsum(0) - tensors["sizes"]
    return tensors


def _number_tensors(numbers: NDArray[np.float32], bins: int, limit: float) -> dict[str, Tensor]:
    """Imputation (median), standardisation and quantile bins of `numbers` [rows, N]; NaN is missing."""
    count = numbers.shape[1]
    bins = min(bins, _BIN_COLUMNS // max(count, 1), max(len(numbers) // _ROWS_PER_BIN, 1))
    fill, centre, scale = np.zeros(count), np.zeros(count), np.zeros(count)
    edges, widths = np.zeros((count, bins)), np.zeros((count, bins))
    for index in range(count):
        column = numbers[:, index].astype(np.float64)
        known = column[~np.isnan(column)]
        if not len(known):
            continue
        fill[index], centre[index], spread = np.median(known), known.mean(), known.std()
        scale[index] = 1 / spread if spread > 0 else 0
        if bins:
            cuts = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)).astype(np.float32)).astype(np.float64)
            edges[index, : len(cuts) - 1] = cuts[:-1]
            widths[index, : len(cuts) - 1] = 1 / np.diff(cuts)
    named = {"fill": fill, "centre": centre, "inverse_scale": scale, "limit": np.array(limit)}
    named |= {"edges": edges, "inverse_widths": widths}
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in named.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Linear:
    """Logistic or ridge regression on piecewise-linear numbers and one-hot categories.

    `bins` for each number and the penalty `l2` are chosen on validation rows unless they are said. Without `scale` the
    penalty is of the weights of numbers as they came: `bins=0, scale=False, l2=1.0` is scikit-learn's
    `LogisticRegression(C=1)` for classes and `Ridge(alpha=1)` for a measure (in standard deviations).
    """

    bins: int | None = None
    scale: bool = True
    l2: float | None = None

    def fit(self, train: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn; takes seconds, so there is no checkpoint: an interrupted fit begins anew."""
        data = prepare(train, validation, run)
        best, best_loss, settings = None, math.inf, Settings()
        choices = ((0, _BINS) if len(data.train["numbers"].T) else (0,)) if self.bins is None else (self.bins,)
        penalties = _PENALTIES if self.l2 is None else (self.l2,)
        for place, bins in enumerate(choices):
            net, rows, columns = self._problem(data, run, bins)
            held_out, solution, least = _design(net, data.validation), None, math.inf
            for tried, l2 in enumerate(penalties, start=1):
                solution = self._solved(rows, data, run, columns * l2, solution)
                scores = run.objective.scores(predict(held_out, solution), data.validation_target)
                loss = scores[run.objective.measure]
                done = (place + tried / len(penalties)) / len(choices)
                run.progress(done, f"{bins} bins, penalty {l2:g}, validation loss {loss:.4f}")
                least = min(least, loss)
                if best is None or loss < best_loss:
                    best, best_loss, settings = filled(net, solution), loss, {"bins": bins, "l2": l2}
                elif loss > least * _WORSE:
                    break
        if best is None:
            raise AssertionError("there is always a setting to try")
        return _fitted(data, best, settings)

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> tuple[dict[str, Any], Net]:
        """With the bins that most fits chose, and their median penalty."""
        data = prepare(rows, rows.take(np.arange(0)), run)
        bins = Counter(chosen["bins"] for chosen in settings).most_common(1)[0][0]
        chosen = sorted(each["l2"] for each in settings if each["bins"] == bins)
        net, design, columns = self._problem(data, run, bins)
        solution = self._solved(design, data, run, columns * chosen[len(chosen) // 2], None)
        return data.preprocess, filled(net, solution)

    def _problem(self, data: Prepared, run: Run, bins: int) -> tuple[TabularNet, SparseRows, Tensor]:
        """The net without weights, the rows that it is linear in, and each column's share of the penalty [F]."""
        net = TabularNet(tensors_of(data, bins, LIMIT if self.scale else _FAR), run.objective.outputs)
        numbers = torch.ones(net.numbers.shape, dtype=torch.float64)
        if not self.scale:
            # The fit sees standardised numbers, which it solves sooner; a weight of those is so many times the other.
            numbers[:, 0] = net.numbers.inverse_scale.double().square()
        columns = torch.cat([numbers.flatten(), torch.ones(len(net.table), dtype=torch.float64)])
        return net, _design(net, data.train), columns

    def _solved(self, rows: SparseRows, data: Prepared, run: Run, l2: Tensor, start: Tensor | None) -> Tensor:
        # One penalty that somebody named is solved as closely as it can be.
        tolerance = 1e-5 if self.l2 is None else 1e-9
        return fit_objective(rows, run.objective, data.train_target, l2, start, tolerance=tolerance)


def filled(net: TabularNet, solution: Tensor) -> TabularNet:
    """The net with the weights [F, K] and, in the last row, the bias of what it is linear in."""
    width = len(net.weight)
    weights = {"weight": solution[:width], "table": solution[width:-1], "bias": solution[-1]}
    net.load_state_dict(net.state_dict() | {name: tensor.float() for name, tensor in weights.items()})
    return net


@torch.no_grad()
def encoded(net: TabularNet, arrays: dict[str, Tensor]) -> Bags:
    """Encoded numbers, then one column per category value: what the net is linear in, without zeros."""
    numbers = net.numbers(arrays["numbers"]).flatten(1)
    width = numbers.shape[1]
    taken = numbers != 0
    categories = arrays["categories"] + net.starts + width
    lengths = taken.sum(1) + categories.shape[1]
    offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    used = torch.cat([taken, torch.ones_like(categories, dtype=torch.bool)], dim=1)
    ids = torch.cat([torch.arange(width).expand(len(numbers), -1), categories], dim=1)[used]
    values = torch.cat([numbers, torch.ones_like(categories, dtype=numbers.dtype)], dim=1)[used]
    return Bags(ids, values, offsets)


def width_of(net: TabularNet) -> int:
    """Columns of `encoded`."""
    return len(net.weight) + len(net.table)


def _design(net: TabularNet, arrays: dict[str, Tensor]) -> SparseRows:
    return SparseRows.of(*encoded(net, arrays), width_of(net))


@dataclass(frozen=True, kw_only=True, slots=True)
class TabM:
    """An ensemble of `members` nets that share weights (Gorishniy et al. 2024), on embedded piecewise-linear numbers.

    Stops early by validation rows; the refit repeats the mean best epoch on all rows.
    """

    members: int = 4
    width: int = 192
    layers: int = 2
    dim: int = 12
    bins: int = 48
    dropout: float = 0.1
    epochs: int = 20
    steps: int = 2_200
    learning_rate: float = 5e-3

    def fit(self, train: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn with the loop, at most `steps` steps unless 8 epochs take more."""
        data = prepare(train, validation, run)
        net = self._net(data, run)
        held_out = _on(data.validation, run.device)
        target = data.validation_target.to(run.device)

        def validate() -> float:
            with torch.no_grad():
                return run.objective.scores(net(**held_out), target)[run.objective.measure]

        loop = self._loop(len(train))
        ended = loop.fit(net, len(train), self._loss_of(net, data, run), validate, run)
        return _fitted(data, net.cpu(), {"share": ended.best_epoch / loop.epochs})

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> tuple[dict[str, Any], Net]:
        """As far as the fits went in the mean, of the same schedule."""
        data = prepare(rows, rows.take(np.arange(0)), run)
        net, loop = self._net(data, run), self._loop(len(rows))
        share = sum(chosen["share"] for chosen in settings) / len(settings)
        stop = max(1, round(share * loop.epochs))
        loop.fit(net, len(rows), self._loss_of(net, data, run), None, run, stop=stop)
        return data.preprocess, net.cpu()

    def _net(self, data: Prepared, run: Run) -> TabMNet:
        torch.manual_seed(run.seed)
        sizes = {"dim": self.dim, "width": self.width, "layers": self.layers, "members": self.members}
        return TabMNet(tensors_of(data, self.bins), run.objective.outputs, **sizes).to(run.device)

    def _loss_of(self, net: TabMNet, data: Prepared, run: Run) -> Callable[[Tensor], Tensor]:
        """Each member learns for itself: the loss is the mean of theirs."""
        arrays, target = _on(data.train, run.device), data.train_target.to(run.device)

        def loss_of(index: Tensor) -> Tensor:
            batch = {name: tensor[index] for name, tensor in arrays.items()}
            raw = net.members(**batch, dropout=self.dropout)
            return run.objective.loss(raw.flatten(0, 1), target[index].repeat_interleave(self.members, dim=0))

        return loss_of

    def _loop(self, rows: int) -> Loop:
        batch = max(16, min(128, rows // 40))
        epochs = min(self.epochs, max(8, self.steps * batch // rows))
        patience = max(6, epochs // 4)
        return Loop(epochs=epochs, batch=batch, learning_rate=self.learning_rate, weight_decay=1e-3, patience=patience)


def _on(arrays: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: tensor.to(device) for name, tensor in arrays.items()}


@torch.no_grad()
def _fitted(data: Prepared, net: Net, settings: Settings) -> Fitted:
    """The net and its raw outputs of the validation rows."""
    return Fitted(data.preprocess, net.eval(), net(**data.validation), settings)
