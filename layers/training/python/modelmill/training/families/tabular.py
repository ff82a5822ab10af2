"""Tabular families: raw columns in; imputation, scaling, category lists and a net over them out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelmill.training.families import Fitted, Settings
from modelmill.training.logistic import SparseRows, fit, predict
from modelmill.training.loop import Loop
from modelmill.training.nets import Net
from modelmill.training.nets.tabular import TabularNet
from modelmill.training.rows import Rows
from modelmill.training.run import Run
from modelmill.training.tables import Prepared, prepare

_PENALTIES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
_BINS = 16
_BIN_COLUMNS = 1_024
"""Most columns that the bins of all numbers make together: wide tables get fewer bins per number."""


def _tensors(data: Prepared) -> dict[str, Tensor]:
    """What the nets take from the training rows before they learn."""
    tensors = {f"numbers.{name}": tensor for name, tensor in _number_tensors(data.train["numbers"].numpy()).items()}
    tensors["sizes"] = torch.tensor(data.sizes, dtype=torch.int64)
    tensors["starts"] = tensors["sizes"].cumsum(0) - tensors["sizes"]
    return tensors


def _number_tensors(numbers: NDArray[np.float32]) -> dict[str, Tensor]:
    """Imputation (median), standardisation and quantile bins of `numbers` [rows, N]; NaN is missing."""
    count = numbers.shape[1]
    bins = min(_BINS, _BIN_COLUMNS // max(count, 1), max(len(numbers) // 20, 1))
    fill, centre, scale = np.zeros(count), np.zeros(count), np.zeros(count)
    edges, widths = np.zeros((count, bins)), np.zeros((count, bins))
    for index in range(count):
        column = numbers[:, index].astype(np.float64)
        known = column[~np.isnan(column)]
        if not len(known):
            continue
        fill[index], centre[index], spread = np.median(known), known.mean(), known.std()
        scale[index] = 1 / spread if spread > 0 else 0
        cuts = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)).astype(np.float32)).astype(np.float64)
        edges[index, : len(cuts) - 1] = cuts[:-1]
        widths[index, : len(cuts) - 1] = 1 / np.diff(cuts)
    named = {"fill": fill, "centre": centre, "inverse_scale": scale, "edges": edges, "inverse_widths": widths}
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in named.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Linear:
    """Multinomial logistic regression on piecewise-linear numbers and one-hot categories; L2 chosen on validation."""

    def fit(self, train: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn; takes seconds, so there is no checkpoint: an interrupted fit begins anew."""
        data = prepare(train, validation, run)
        outputs = run.objective.outputs
        net = TabularNet(_tensors(data), outputs, width=outputs)
        rows, held_out = (_one_hot(net, arrays) for arrays in (data.train, data.validation))
        solution: Tensor | None = None
        best, best_loss, chosen = torch.zeros(rows.matrix.shape[1] + 1, outputs, dtype=torch.float64), math.inf, 1.0
        for tried, penalty in enumerate(_PENALTIES, start=1):
            solution = fit(rows, data.train_target, outputs, penalty, solution)
            loss = run.objective.scores(predict(held_out, solution), data.validation_target)[run.objective.measure]
            run.progress(tried / len(_PENALTIES), f"penalty {penalty:g}, validation log loss {loss:.4f}")
            if loss < best_loss:
                best, best_loss, chosen = solution, loss, penalty
            elif loss > best_loss * 1.02:
                break  # weaker penalties only overfit more
        return _fitted(data, _with(net, best), {"penalty": chosen})

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> tuple[dict[str, Any], Net]:
        """With the median penalty."""
        data = prepare(rows, rows, run)
        outputs = run.objective.outputs
        net = TabularNet(_tensors(data), outputs, width=outputs)
        penalty = sorted(chosen["penalty"] for chosen in settings)[len(settings) // 2]
        return data.preprocess, _with(net, fit(_one_hot(net, data.train), data.train_target, outputs, penalty))


def _with(net: TabularNet, solution: Tensor) -> TabularNet:
    width = net.numbers.width
    weights = {"leave.weight": solution[:width].T.float().contiguous(), "table": solution[width:-1].float()}
    net.load_state_dict(net.state_dict() | weights | {"leave.bias": solution[-1].float()})
    return net


@torch.no_grad()
def _one_hot(net: TabularNet, arrays: dict[str, Tensor]) -> SparseRows:
    """Encoded numbers, then one column per category value: what the net without blocks is linear in."""
    encoded = net.numbers(arrays["numbers"])
    taken = encoded != 0
    categories = arrays["categories"] + net.starts + net.numbers.width
    lengths = taken.sum(1) + categories.shape[1]
    offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    used = torch.cat([taken, torch.ones_like(categories, dtype=torch.bool)], dim=1)
    columns = torch.arange(net.numbers.width).expand(len(encoded), -1)
    ids = torch.cat([columns, categories], dim=1)[used]
    values = torch.cat([encoded, torch.ones_like(categories, dtype=encoded.dtype)], dim=1)[used]
    return SparseRows.of(ids, values, offsets, net.numbers.width + len(net.table))


@dataclass(frozen=True, kw_only=True, slots=True)
class Mlp:
    """Residual MLP on piecewise-linear numbers and category embeddings (Gorishniy et al. 2021, 2022)."""

    hidden: int = 64
    blocks: int = 2
    dim: int = 8
    epochs: int = 60
    steps: int = 2_000
    dropout: float = 0.15

    def fit(self, train: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn with the loop, at most `steps` steps unless 8 epochs take more."""
        data = prepare(train, validation, run)
        torch.manual_seed(run.seed)
        net = TabularNet(
            _tensors(data),
            run.objective.outputs,
            width=self.dim,
            hidden=self.hidden,
            blocks=self.blocks,
            dropout=self.dropout,
        )
        torch.nn.init.normal_(net.table, std=0.1)
        net = net.to(run.device)
        arrays, held_out = (
            {name: tensor.to(run.device) for name, tensor in split.items()} for split in (data.train, data.validation)
        )
        target, held_out_target = data.train_target.to(run.device), data.validation_target.to(run.device)

        def loss_of(index: Tensor) -> Tensor:
            batch = {name: tensor[index] for name, tensor in arrays.items()}
            return run.objective.loss(net(**batch), target[index])

        def validate() -> float:
            with torch.no_grad():
                return run.objective.scores(net(**held_out), held_out_target)[run.objective.measure]

        self._loop(len(train)).fit(net, len(train), loss_of, validate, run)
        return _fitted(data, net.cpu(), {})

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> None:
        """The fit stops by its validation rows, so its net stays."""

    def _loop(self, rows: int) -> Loop:
        batch = max(16, min(256, rows // 40))
        epochs = min(self.epochs, max(8, self.steps * batch // rows))
        return Loop(epochs=epochs, batch=batch, learning_rate=4e-3, weight_decay=1e-2, patience=max(6, epochs // 4))


@torch.no_grad()
def _fitted(data: Prepared, net: TabularNet, settings: Settings) -> Fitted:
    """The net and its raw outputs of the validation rows."""
    return Fitted(data.preprocess, net.eval(), net(**data.validation), settings)
