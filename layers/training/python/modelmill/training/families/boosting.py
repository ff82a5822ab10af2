"""Gradient boosting: raw columns in; numbers, rotated pairs, mean targets of categories and trees over them out."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from modelmill.training.boosters import Grown, Growth, Problem, grow, pairs_of, problem_of, tensors_of
from modelmill.training.families import Fitted, Settings
from modelmill.training.nets import Net
from modelmill.training.nets.trees import Inputs, TreesNet
from modelmill.training.objective import Objective
from modelmill.training.rows import Rows
from modelmill.training.run import Run
from modelmill.training.tables import Prepared, prepare

_ANGLES = torch.tensor([1, 2, 3, 5, 6, 7]) * (torch.pi / 8)
"""Rotations of a pair: trees split along axes, and need many splits for an edge that is oblique to them."""
_MOST_LEAVES = 32_000
"""Leaves of all trees: some 27 bytes each, so a model stays below a megabyte."""
_MOST_ROUNDS = 2_000
_USUAL_ROUNDS = 400
"""Rounds that the learning rate is meant for."""
_WIDE = 100
"""Columns above which trees cost so much that they are grown from coarser bins, faster, and without trials."""
_TELLING_ROWS = 200
"""Validation rows below which a difference between settings is mostly luck, so none is chosen."""
_SMALLEST, _LARGEST = 4, 128
_JUDGING_ROWS = 50
"""Validation rows below which even the number of rounds is not chosen: one row left out would choose for itself."""
_BLIND_ROUNDS = 100
_PRIOR_ROWS = 10.0
"""Rows of the mean of all that a category's mean target begins with."""
_ROWS_PER_VALUE = 100
"""Rows per value of a category below which its mean would tell a training row too much of the row's own target."""
_MOST_MEANS = 8
"""Classes (or tags), the most frequent first, whose shares are features of a category."""
_FOLDS = 5


class _Features(NamedTuple):
    """Features of the training rows as the trees learn from them, and of the validation rows as the net reads them."""

    inputs: Inputs
    train: Tensor
    validation: Tensor


class _Choice(NamedTuple):
    """What is chosen on validation rows beside the number of rounds; pairs are places among the numbers."""

    leaves: int
    pairs: list[tuple[int, int]]


class _Fold(NamedTuple):
    """What a fit learns from and is measured on."""

    data: Prepared
    problem: Problem
    held_out: Problem
    run: Run

    def grown(self, features: _Features, growth: Growth) -> list[Grown]:
        """Boosters that stopped by the validation rows, if there are enough of them."""
        held_out = (features.validation, self.held_out) if len(features.validation) >= _JUDGING_ROWS else None
        if held_out is None:
            growth = replace(growth, rounds=min(growth.rounds, _BLIND_ROUNDS))
        return grow(features.train, self.problem, held_out, [growth] * len(self.problem.parts), self.run)


@dataclass(frozen=True, kw_only=True, slots=True)
class Boosting:
    """LightGBM. Where validation rows can tell, leaves and pairs to rotate are chosen by them."""

    leaves: int | None = None
    learning_rate: float = 0.05
    feature_share: float = 0.8
    row_share: float = 0.8
    l2: float = 1.0

    def fit(self, train: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn; takes seconds, so there is no checkpoint: an interrupted fit begins anew."""
        data = prepare(train, validation, run)
        problem = problem_of(run.objective, data.train_target, _weights(run))
        fold = _Fold(data, problem, problem_of(run.objective, data.validation_target), run)
        choice = self._chosen(fold)
        features = _features(data, run, choice.pairs)
        grown = fold.grown(features, self._growth(choice.leaves, data, problem))
        net = _net(features, problem, grown)
        rounds = [each.rounds for each in grown]
        run.progress(1, f"{choice.leaves} leaves, {sum(rounds)} rounds: validation loss {_loss(grown):.4f}")
        with torch.no_grad():
            raw = net(**data.validation)
        return Fitted(data.preprocess, net, raw, {**choice._asdict(), "rounds": rounds, "rows": len(train)})

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> tuple[dict[str, Any], Net]:
        """With what most folds chose, and as many more rounds as there are more rows."""
        data = prepare(rows, rows.take(np.arange(0)), run)
        problem = problem_of(run.objective, data.train_target, _weights(run))
        chosen = Counter(json.dumps([each["leaves"], each["pairs"]]) for each in settings).most_common(1)[0][0]
        leaves, pairs = json.loads(chosen)
        alike = [each for each in settings if each["leaves"] == leaves]
        most = self._growth(leaves, data, problem)
        growth = []
        for index in range(len(problem.parts)):
            rounds = median(each["rounds"][index] * len(rows) / each["rows"] for each in alike)
            growth.append(replace(most, rounds=min(round(rounds), most.rounds)))
        features = _features(data, run, pairs)
        return data.preprocess, _net(features, problem, grow(features.train, problem, None, growth, run))

    def _growth(self, leaves: int, data: Prepared, problem: Problem) -> Growth:
        rows, wide = len(data.train_target), _width(data) > _WIDE
        trees = sum(len(part.outputs) for part in problem.parts)
        rounds = max(min(_MOST_ROUNDS, _MOST_LEAVES // (leaves * max(trees, 1)), rows + 100), 1)
        return Growth(
            leaves=leaves,
            # Where few trees may grow (many classes), each has to do more.
            learning_rate=min(
                self.learning_rate * max(_USUAL_ROUNDS * leaves * trees / _MOST_LEAVES, 2 if wide else 1), 0.3
            ),
            bins=63 if wide else 255,
            rounds=rounds,
            min_rows=max(min(20, rows // 50), 2),
            feature_share=self.feature_share,
            row_share=self.row_share,
            l2=self.l2,
        )

    def _chosen(self, fold: _Fold) -> _Choice:
        """The leaves of a tree and the pairs to rotate."""
        default = self.leaves or max(min(31, len(fold.data.train_target) // 40), 4)
        first = _Choice(default, [])
        if len(fold.data.validation_target) < _TELLING_ROWS or _width(fold.data) > _WIDE:
            return first
        grown = self._trial(fold, first, 0.1)
        tried = [(_loss(grown), first)]
        strongest = pairs_of(grown, fold.data.train["numbers"].shape[1])
        for count in (1, 3):
            if len(strongest) >= count and not fold.run.late():
                choice = _Choice(default, strongest[:count])
                tried.append((_loss(self._trial(fold, choice, 0.1 + 0.1 * count)), choice))
        if self.leaves is None:
            for factor in (0.5, 2):
                self._resize(fold, tried, factor)
        return min(tried)[1]

    def _resize(self, fold: _Fold, tried: list[tuple[float, _Choice]], factor: float) -> None:
        """Try ever smaller, or ever larger, trees as long as they are better."""
        loss, best = min(tried)
        while not fold.run.late() and _SMALLEST <= best.leaves * factor <= _LARGEST:
            choice = best._replace(leaves=round(best.leaves * factor))
            if choice in (earlier for _, earlier in tried):
                return
            tried.append((_loss(self._trial(fold, choice, 0.6)), choice))
            if tried[-1][0] >= loss:
                return
            loss, best = tried[-1]

    def _trial(self, fold: _Fold, choice: _Choice, done: float) -> list[Grown]:
        """A short fit: half as many trees, each with twice the weight."""
        growth = self._growth(choice.leaves, fold.data, fold.problem)
        growth = replace(growth, learning_rate=min(2 * growth.learning_rate, 0.3), patience=20)
        grown = fold.grown(_features(fold.data, fold.run, choice.pairs), growth)
        pairs = len(choice.pairs)
        fold.run.progress(done, f"{choice.leaves} leaves, {pairs} pairs rotated: validation loss {_loss(grown):.4f}")
        return grown


def _width(data: Prepared) -> int:
    return data.train["numbers"].shape[1] + len(data.sizes)


def _loss(grown: Sequence[Grown]) -> float:
    return sum(each.loss for each in grown) / len(grown)


def _weights(run: Run) -> Tensor | None:
    weights: Tensor | None = getattr(run.objective, "weights", None)
    return weights


def _net(features: _Features, problem: Problem, grown: Sequence[Grown]) -> TreesNet:
    inputs = {f"inputs.{name}": tensor for name, tensor in features.inputs.state_dict().items()}
    usual = features.train.nanmedian(dim=0).values.nan_to_num()
    return TreesNet(inputs | tensors_of(problem, grown, usual.numpy()))


@torch.no_grad()
def _features(data: Prepared, run: Run, pairs: Sequence[tuple[int, int]]) -> _Features:
    """The features of both splits; a category of many values tells a training row the mean of other rows' targets."""
    numbers, categories = data.train["numbers"], data.train["categories"]
    targets = _columns(run.objective, data.train_target)
    known = numbers.double()
    centre = known.nanmean(dim=0).nan_to_num()
    spread = (known - centre).square().nanmean(dim=0).sqrt().nan_to_num()
    left, right = (torch.tensor([pair[side] for pair in pairs], dtype=torch.int64) for side in (0, 1))
    sizes = torch.tensor(data.sizes, dtype=torch.int64)
    tables = [_means(categories[:, index], targets, size) for index, size in enumerate(data.sizes)]
    inputs = Inputs(
        {
            "fill": numbers.nanmedian(dim=0).values.nan_to_num() if len(numbers) else centre.float(),
            "centre": centre.float(),
            "inverse_scale": torch.where(spread > 0, 1 / spread, 0).clamp(max=1e30).float(),
            "left": left.repeat_interleave(len(_ANGLES)),
            "right": right.repeat_interleave(len(_ANGLES)),
            "cosine": _ANGLES.cos().repeat(len(pairs)),
            "sine": _ANGLES.sin().repeat(len(pairs)),
            "starts": sizes.cumsum(0) - sizes,
            "table": torch.cat([torch.zeros(0, targets.shape[1]), *tables]),
        }
    )
    train = inputs(numbers, categories)
    for index, size in enumerate(data.sizes):
        if len(categories) < _ROWS_PER_VALUE * size:
            end = train.shape[1] - (len(data.sizes) - index - 1) * targets.shape[1]
            train[:, end - targets.shape[1] : end] = _means_of_others(categories[:, index], targets, size, run.seed)
    return _Features(inputs, train, inputs(data.validation["numbers"], data.validation["categories"]))


def _columns(objective: Objective, target: Tensor) -> Tensor:
    """What a category's rows have means of, float64 [rows, M]: the measure, or membership of the frequent classes."""
    if objective.answers == "regression":
        return target.double()[:, None]
    if objective.answers == "multilabel":
        member = target.double()
    else:
        member = torch.nn.functional.one_hot(target, objective.outputs).double()
    if objective.answers == "classification" and objective.outputs == 2:  # one share says both
        return member[:, 1:]
    frequent = member.sum(0).argsort(descending=True, stable=True)[:_MOST_MEANS]
    return member[:, frequent]


def _means(category: Tensor, targets: Tensor, size: int) -> Tensor:
    """Mean targets float32 [size, M] of the rows of each value, drawn towards the mean of all."""
    sums = torch.zeros(size, targets.shape[1], dtype=torch.float64).index_add_(0, category, targets)
    rows = torch.bincount(category, minlength=size)[:, None]
    return ((sums + _PRIOR_ROWS * targets.mean(0)) / (rows + _PRIOR_ROWS)).float()


def _means_of_others(category: Tensor, targets: Tensor, size: int, seed: int) -> Tensor:
    """For each row the mean targets of its value's rows in the other folds, float32 [rows, M]."""
    rows = len(category)
    fold = torch.randperm(rows, generator=torch.Generator().manual_seed(seed)) % min(_FOLDS, rows)
    means = torch.empty(rows, targets.shape[1])
    for held_out in range(int(fold.max()) + 1):
        learnt = fold != held_out
        means[~learnt] = _means(category[learnt], targets[learnt], size)[category[~learnt]]
    return means
