"""Text families: texts in; n-gram vocabulary, TF-IDF weights and a net over them out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modelmill.core.model.tokens import MAX_TOKENS
from modelmill.serving.features import Sparse, TextFeatures
from modelmill.training.families import Fitted, Settings
from modelmill.training.logistic import SparseRows, fit, predict
from modelmill.training.loop import Loop
from modelmill.training.nets import Net
from modelmill.training.nets.ngram import NgramNet
from modelmill.training.rows import Rows
from modelmill.training.run import Run
from modelmill.training.vocabulary import build_vocabulary, longest_ngram

_PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
"""Strength of the L2 penalty, strongest first: each fit starts from the one before."""
_SMOOTHING = 1.0
_MAX_WEIGHTS = 2_000_000
"""Most values of the linear table: with many classes the vocabulary shrinks, and the model stays a few megabytes."""


class _Bags(NamedTuple):
    """Rows of TF-IDF weights one after the other; row i is `ids[offsets[i]:offsets[i + 1]]`. L2-normalised."""

    ids: Tensor
    weights: Tensor
    offsets: Tensor

    def batch(self, rows: Tensor) -> "_Bags":
        """Those rows, in that order."""
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        places = torch.repeat_interleave(starts - offsets[:-1], lengths) + torch.arange(
            int(offsets[-1]), device=rows.device
        )
        return _Bags(self.ids[places], self.weights[places], offsets)


class _Prepared(NamedTuple):
    preprocess: dict[str, Any]
    idf: Tensor
    train: _Bags
    validation: _Bags
    train_target: Tensor
    validation_target: Tensor


def _prepare(train: Rows, validation: Rows, run: Run, *, size: int, min_rows: int) -> _Prepared:
    """Vocabulary and idf of the training rows; both splits as TF-IDF bags."""
    inputs = [column.name for column in run.spec.inputs]
    reading = run.spec.reading(inputs)
    reader = TextFeatures({"inputs": inputs, "ngrams": [1, 1], "vocabulary": [], **reading})
    texts = [
        [reader.text(value, name) for name, value in zip(inputs, row, strict=True)]
        for row in zip(*(train.columns[name] for name in inputs), strict=True)
    ]
    longest = longest_ngram([" ".join(row) for row in texts[:1_000]])
    preprocess: dict[str, Any] = {
        "kind": "text",
        "inputs": inputs,
        "ngrams": [1, longest],
        "max_tokens": MAX_TOKENS,
        **reading,
        "vocabulary": build_vocabulary(texts, longest=longest, min_rows=min_rows, size=size),
    }
    features = TextFeatures(preprocess)
    counted = features.sparse(train.columns)
    found = np.bincount(counted.ids, minlength=len(preprocess["vocabulary"]) + 1)
    idf = torch.from_numpy(np.log((1 + len(train)) / (1 + found)) + 1).float()
    idf[0] = 0
    return _Prepared(
        preprocess,
        idf,
        _bags(counted, idf),
        _bags(features.sparse(validation.columns), idf),
        run.objective.target(train),
        run.objective.target(validation),
    )


def _bags(counted: Sparse, idf: Tensor) -> _Bags:
    """The arithmetic of NgramNet.forward, on rows of any length."""
    ids, offsets = torch.from_numpy(counted.ids), torch.from_numpy(counted.offsets)
    weights = (1 + torch.log(torch.from_numpy(counted.counts))) * idf[ids]
    row_of = torch.repeat_interleave(torch.arange(len(offsets) - 1), offsets.diff())
    norms = torch.zeros(len(offsets) - 1).index_add_(0, row_of, weights.square()).sqrt().clamp(min=1e-12)
    return _Bags(ids, weights / norms[row_of], offsets)


@dataclass(frozen=True, kw_only=True, slots=True)
class NgramLinear:
    """Multinomial logistic regression on TF-IDF, as it is or weighted by class log-count ratios.

    The weighting is that of NB-SVM (Wang and Manning 2012), with the root mean square over classes so that it holds
    for more than two. Weighting and L2 penalty are those with the least validation log loss.
    """

    vocabulary: int = 100_000
    min_rows: int = 2

    def fit(self, train: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn; takes seconds, so there is no checkpoint: an interrupted fit begins anew."""
        outputs = run.objective.outputs
        data = _prepare(train, validation, run, size=self._size(outputs), min_rows=self.min_rows)
        width = len(data.idf)
        rows, held_out = (SparseRows.of(*bags, width) for bags in (data.train, data.validation))
        ratios = _log_count_ratios(data.train, data.train_target, width, outputs)
        best, best_loss, settings = torch.zeros(width + 1, outputs, dtype=torch.float64), math.inf, Settings()
        tried = 0
        for weighted in (False, True):
            columns = ratios if weighted else torch.ones_like(ratios)
            scaled = rows.scaled(columns)
            stretched = torch.cat([columns, columns.new_ones(1)])[:, None]
            for penalty, solution in _path(scaled, data.train_target, outputs):
                weights = solution * stretched
                loss = run.objective.scores(predict(held_out, weights), data.validation_target)[run.objective.measure]
                tried += 1
                run.progress(tried / (2 * len(_PENALTIES)), f"{tried} settings tried, best log loss {best_loss:.4f}")
                if loss < best_loss:
                    best, best_loss, settings = weights, loss, {"penalty": penalty, "weighted": weighted}
                elif loss > best_loss * 1.02:
                    break  # weaker penalties only overfit more
        return _fitted(data, _linear_net(data.idf, best), settings)

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> tuple[dict[str, Any], Net]:
        """With the median penalty, weighted if most fits were."""
        outputs = run.objective.outputs
        data = _prepare(rows, rows.take(np.arange(1)), run, size=self._size(outputs), min_rows=self.min_rows)
        ratios = _log_count_ratios(data.train, data.train_target, len(data.idf), outputs)
        weighted = sum(chosen["weighted"] for chosen in settings) * 2 > len(settings)
        columns = ratios if weighted else torch.ones_like(ratios)
        penalty = sorted(chosen["penalty"] for chosen in settings)[len(settings) // 2]
        solution = fit(SparseRows.of(*data.train, len(data.idf)).scaled(columns), data.train_target, outputs, penalty)
        return data.preprocess, _linear_net(data.idf, solution * torch.cat([columns, columns.new_ones(1)])[:, None])

    def _size(self, outputs: int) -> int:
        return min(self.vocabulary, _MAX_WEIGHTS // outputs)


def _path(rows: SparseRows, labels: Tensor, classes: int) -> Iterator[tuple[float, Tensor]]:
    solution: Tensor | None = None
    for penalty in _PENALTIES:
        solution = fit(rows, labels, classes, penalty, solution)
        yield penalty, solution


def _log_count_ratios(bags: _Bags, labels: Tensor, width: int, classes: int) -> Tensor:
    """Root mean square over classes of ln(n-gram's share in the class / its share in the others) [width], float64."""
    row_of = torch.repeat_interleave(torch.arange(len(labels)), bags.offsets.diff())
    places = bags.ids * classes + labels[row_of]
    found = torch.bincount(places, minlength=width * classes).view(width, classes).double()
    inside = found + _SMOOTHING
    outside = found.sum(1, keepdim=True) - found + _SMOOTHING
    ratios = torch.log(inside / inside.sum(0)) - torch.log(outside / outside.sum(0))
    return ratios.square().mean(1).sqrt()


def _linear_net(idf: Tensor, weights: Tensor) -> NgramNet:
    net = NgramNet(idf, weights.shape[1], None)
    table = weights[:-1].float()
    table[0] = 0
    net.load_state_dict({"idf": idf, "table": table, "bias": weights[-1].float()})
    return net


@dataclass(frozen=True, kw_only=True, slots=True)
class NgramEmbedding:
    """TF-IDF weighted sum of n-gram embeddings, ReLU, linear layer (after fastText, Joulin et al. 2016)."""

    vocabulary: int = 30_000
    min_rows: int = 3
    dim: int = 16
    epochs: int = 12
    dropout: float = 0.3

    def fit(self, train: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn with the loop; dropout leaves out whole n-grams."""
        data = _prepare(
            train, validation, run, size=self.vocabulary, min_rows=min(self.min_rows, 2 + len(train) // 2_000)
        )
        net = self._net(data.idf, run)
        bags, held_out = (_Bags(*(part.to(run.device) for part in bags)) for bags in (data.train, data.validation))
        target, held_out_target = data.train_target.to(run.device), data.validation_target.to(run.device)

        def loss_of(index: Tensor) -> Tensor:
            batch = bags.batch(index)
            kept = functional.dropout(batch.weights, self.dropout)
            return run.objective.loss(net.bags(batch.ids, kept, batch.offsets[:-1]), target[index])

        def validate() -> float:
            with torch.no_grad():
                raw = net.bags(held_out.ids, held_out.weights, held_out.offsets[:-1])
                return run.objective.scores(raw, held_out_target)[run.objective.measure]

        loop = Loop(
            epochs=self.epochs,
            batch=max(16, min(128, len(train) // 40)),
            learning_rate=3e-3,
            weight_decay=1e-2,
            patience=3,
        )
        loop.fit(net, len(train), loss_of, validate, run)
        return _fitted(data, net.cpu(), {})

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> None:
        """The fit stops by its validation rows, so its net stays."""

    def _net(self, idf: Tensor, run: Run) -> NgramNet:
        torch.manual_seed(run.seed)
        net = NgramNet(idf, self.dim, run.objective.outputs)
        torch.nn.init.normal_(net.table, std=0.1)
        return net.to(run.device)


@torch.no_grad()
def _fitted(data: _Prepared, net: NgramNet, settings: Settings) -> Fitted:
    """The net and its raw outputs of the validation rows."""
    net.eval()
    bags = data.validation
    return Fitted(data.preprocess, net, net.bags(bags.ids, bags.weights, bags.offsets[:-1]), settings)
