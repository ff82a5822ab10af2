"""Families of mixed rows: columns of texts, numbers and categories in; one model of all of them out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median_low
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from modelmill.core.errors import Rejected
from modelmill.training.bags import Bags, Texts, bags_of, texts_of, wanted_of
from modelmill.training.families import Fitted, Settings
from modelmill.training.families.tabular import encoded, filled, tensors_of, width_of
from modelmill.training.logistic import SparseRows, fit_objective, predict
from modelmill.training.nets import Net
from modelmill.training.nets.fusion import FusionNet
from modelmill.training.nets.ngram import NgramNet, kept
from modelmill.training.nets.tabular import TabularNet
from modelmill.training.rows import Rows
from modelmill.training.run import Run
from modelmill.training.tables import Prepared, prepare

_POWERS = (1.0, 0.5, 0.0)
"""Of the evidence in an n-gram's weight (NB-SVM); 0 is TF-IDF."""
_PENALTIES = (3.0, 1.0, 0.3, 0.1, 0.03)
"""Of the n-grams, strongest first: each fit starts from the one before."""
_TABLE_PENALTIES = (10.0, 100.0, 1.0)
"""Of the table's columns; the first goes with the choice of the n-grams'."""
_WORSE = 1.02
_MAX_WEIGHTS = 2_000_000


def run_of(run: Run, kinds: Sequence[str]) -> Run:
    """The run as if it read the inputs of those kinds alone."""
    inputs = [column for column in run.spec.inputs if column.kind in kinds]
    return replace(run, spec=run.spec.model_copy(update={"inputs": inputs}))


class _Data(NamedTuple):
    """Both parts of the training rows, counted and encoded; of the validation rows what the fits are measured on."""

    texts: Texts
    table: Prepared
    net: TabularNet
    train: Bags
    validation: Bags
    held_out: Bags


class _Tried(NamedTuple):
    loss: float
    solution: Tensor
    settings: Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class FusionLinear:
    """One linear model of weighted n-grams, piecewise-linear numbers and one-hot categories: a single convex fit.

    How n-grams are weighted and the penalty of each part are those with the least validation loss.
    """

    vocabulary: int = 60_000
    min_rows: int = 2

    def fit(self, train: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn; takes seconds, so there is no checkpoint: an interrupted fit begins anew."""
        data = self._data(train, validation, run)
        best: _Tried | None = None
        for place, power in enumerate(_POWERS):
            found = min(_path(data, power, (_PENALTIES, _TABLE_PENALTIES[0]), run), key=lambda tried: tried.loss)
            run.progress((place + 1) / (len(_POWERS) + 1), f"evidence to {power:g}, validation loss {found.loss:.4f}")
            if best is not None and found.loss >= best.loss:
                break
            best = found
        if best is None:
            raise AssertionError("there is always a setting to try")
        chosen = best.settings
        for table in _TABLE_PENALTIES[1:]:
            again = _path(data, chosen["power"], ((chosen["text"],), table), run)
            best = min(best, *again, key=lambda tried: tried.loss)
        run.progress(1, f"validation loss {best.loss:.4f}")
        preprocess, net = _net(data, best)
        scale = data.texts.scale(best.settings["power"], pieces=False)
        rows = _joined(data, data.held_out.weighted(scale), data.validation)
        return Fitted(preprocess, net, predict(rows, best.solution).float(), best.settings)

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> tuple[dict[str, Any], Net]:
        """With the median of each setting."""
        data = self._data(rows, rows.take(np.arange(1)), run)
        power, text, table = (median_low(each[name] for each in settings) for name in ("power", "text", "table"))
        return _net(data, next(_path(data, power, ((text,), table), run)))

    def _data(self, train: Rows, validation: Rows, run: Run) -> _Data:
        media = [column.name for column in run.spec.inputs if column.kind in ("image", "audio")]
        if media:
            text = f"{run.candidate.name} reads texts and tables, not {media[0]!r}"
            raise Rejected("bad_candidate", text, hint="leave the column out, or name a candidate that reads it")
        table_run = run_of(run, ("number", "category", "boolean"))
        table = prepare(train, validation, table_run)
        net = TabularNet(tensors_of(table), run.objective.outputs)
        wanted = wanted_of(run.objective.target(train), run.objective.outputs)
        size = min(self.vocabulary, _MAX_WEIGHTS // run.objective.outputs)
        texts = texts_of(train, wanted, run_of(run, ("text",)), size=size, pieces=0, min_rows=self.min_rows)
        held_out = bags_of(validation, texts.preprocess)
        return _Data(texts, table, net, encoded(net, table.train), encoded(net, table.validation), held_out)


def _path(data: _Data, power: float, penalties: tuple[Sequence[float], float], run: Run) -> Iterator[_Tried]:
    """Fits from the strongest penalty of n-grams to weaker ones, until those only overfit more.

    `penalties` are those of n-grams and the one of the table's columns.
    """
    scale = data.texts.scale(power, pieces=False)
    rows = _joined(data, data.texts.bags.weighted(scale), data.train)
    held_out = _joined(data, data.held_out.weighted(scale), data.validation)
    least, solution = math.inf, None
    for text in penalties[0]:
        l2 = torch.full((rows.matrix.shape[1],), penalties[1], dtype=torch.float64)
        l2[: len(scale)] = text
        solution = fit_objective(rows, run.objective, data.table.train_target, l2, solution)
        raw, target = predict(held_out, solution), data.table.validation_target
        loss = run.objective.scores(raw, target)[run.objective.measure] if len(target) > 1 else 0.0
        yield _Tried(loss, solution, {"power": power, "text": text, "table": penalties[1]})
        if loss > least * _WORSE:
            break
        least = min(least, loss)


def _joined(data: _Data, text: Bags, table: Bags) -> SparseRows:
    """The columns of n-grams, then those of the table, row by row."""
    first = len(data.texts.idf)
    offsets = text.offsets + table.offsets
    ids, values = torch.empty(int(offsets[-1]), dtype=torch.int64), torch.empty(int(offsets[-1]))
    # What a part's row has before it: the other part's rows up to it, and for the table its own row of text.
    for bags, before, shift in ((text, table.offsets[:-1], 0), (table, text.offsets[1:], first)):
        lengths = bags.offsets.diff()
        places = torch.arange(len(bags.ids)) + torch.repeat_interleave(before, lengths)
        ids[places], values[places] = bags.ids.long() + shift, bags.values
    return SparseRows.of(ids, values, offsets, first + width_of(data.net))


def _net(data: _Data, found: _Tried) -> tuple[dict[str, Any], FusionNet]:
    """The solution as a net of two linear parts; the bias is the table's."""
    scale = data.texts.scale(found.settings["power"], pieces=False)
    solution = found.solution
    words = NgramNet(scale, solution.shape[1], None, data.texts.share)
    words.load_state_dict(words.state_dict() | {"table": solution[: len(scale)].float()})
    preprocess, text = kept(words, data.texts.preprocess, torch.nonzero(scale).flatten())
    net = FusionNet({"text": text, "table": filled(data.net, solution[len(scale) :])})
    parts = {"text": preprocess, "table": data.table.preprocess}
    return {"kind": "parts", "parts": parts}, net.eval()
