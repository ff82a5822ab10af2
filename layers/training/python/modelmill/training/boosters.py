"""LightGBM (Ke et al. 2017): features and targets in, trees as the tensors of a `TreesNet` out.

The only module that knows LightGBM. One thread or several, equal data and seed give equal trees.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import torch
from lightgbm.callback import CallbackEnv, EarlyStopException
from numpy.typing import NDArray
from torch import Tensor

from modelmill.training.objective import Objective
from modelmill.training.run import Run

_MISSING_IS_NAN = 2
"""Bits 2 and 3 of LightGBM's decision type; its bit 1 sends missing values left."""
_METRICS = {"binary": "binary_logloss", "multiclass": "multi_logloss", "regression": "rmse"}


class Part(NamedTuple):
    """What one booster learns: its `target` float64 [rows], and the raw output that each tree of a round adds to."""

    objective: str
    target: NDArray[np.float64]
    outputs: list[int]


class Problem(NamedTuple):
    """An objective in LightGBM's words. `base` [K]: raw outputs before the first tree; `weights` [rows] or None."""

    parts: list[Part]
    base: NDArray[np.float64]
    weights: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class Growth:
    """How trees grow."""

    leaves: int
    learning_rate: float
    rounds: int
    """Most trees of each output."""
    bins: int
    """Most different values of a feature that a split can tell apart."""
    min_rows: int
    feature_share: float
    row_share: float
    l2: float
    patience: int = 30
    """Rounds without a better validation score after which no more trees are grown."""

    def parameters(self, part: Part, run: Run) -> dict[str, Any]:
        """LightGBM's parameters."""
        return {
            "objective": part.objective,
            "metric": _METRICS[part.objective],
            "num_class": len(part.outputs),
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "max_bin": self.bins,
            "min_data_in_leaf": self.min_rows,
            "feature_fraction": self.feature_share,
            "bagging_fraction": self.row_share,
            "bagging_freq": 1,
            "lambda_l2": self.l2,
            "boost_from_average": False,
            "seed": run.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": int(os.environ.get("MODELMILL_THREADS", "1")),
            "verbosity": -1,
        }


class Grown(NamedTuple):
    """A booster's trees, and how many rounds of them were best on the validation rows, with which loss."""

    trees: list[dict[str, NDArray[Any]]]
    rounds: int
    loss: float


def problem_of(objective: Objective, target: Tensor, weights: Tensor | None = None) -> Problem:
    """The boosters of an objective for targets of some rows; a class without rows begins as if it had one."""
    values = target.double().numpy()
    if objective.answers == "regression":
        return Problem([Part("regression", values, [0])], np.array([values.mean()]), None)
    if objective.answers == "multilabel":
        ones, rows = values.sum(0), len(values)
        parts = [Part("binary", values[:, tag], [tag]) for tag in range(objective.outputs)]
        return Problem(parts, np.log((ones + 1) / (rows - ones + 1)), None)
    each = None if weights is None else weights.double().numpy()[target.numpy()]
    base = np.log(np.bincount(target.numpy(), each, minlength=objective.outputs) + 1)
    base -= base.mean()
    if objective.outputs == 2:  # one booster says how much likelier the second is
        return Problem([Part("binary", values, [1])], base - base[0], each)
    return Problem([Part("multiclass", values, list(range(objective.outputs)))], base, each)


def grow(
    features: Tensor,
    problem: Problem,
    held_out: tuple[Tensor, Problem] | None,
    growth: Sequence[Growth],
    run: Run,
) -> list[Grown]:
    """One booster a part, each with its growth; with `held_out` rows it stops by their score."""
    grown = []
    for index, (part, how) in enumerate(zip(problem.parts, growth, strict=True)):
        parameters = how.parameters(part, run)
        data = _data(features, problem, part, parameters)
        valid, callbacks = [], [_stops(run)]
        if held_out:
            other = held_out[1].parts[index]
            valid = [_data(held_out[0], held_out[1]._replace(base=problem.base, weights=None), other, parameters, data)]
            callbacks.append(lightgbm.early_stopping(how.patience, verbose=False))
        booster = lightgbm.train(parameters, data, how.rounds, valid_sets=valid, callbacks=callbacks)
        rounds = booster.best_iteration if held_out else booster.current_iteration()
        loss = booster.best_score["valid_0"][parameters["metric"]] if held_out else 0.0
        grown.append(Grown(list(_trees(booster.model_to_string(num_iteration=rounds))), rounds, loss))
    return grown


def _data(
    features: Tensor, problem: Problem, part: Part, parameters: dict[str, Any], like: Any = None
) -> lightgbm.Dataset:
    start = np.tile(problem.base[part.outputs], (len(features), 1)).squeeze(1 if len(part.outputs) == 1 else ())
    return lightgbm.Dataset(
        features.numpy(), part.target, reference=like, weight=problem.weights, init_score=start, params=parameters
    )


def _stops(run: Run) -> Any:
    """A callback that keeps what there is when the budget's time is over."""

    def stop(env: CallbackEnv) -> None:
        if run.late():
            raise EarlyStopException(env.iteration, env.evaluation_result_list or [])

    return stop


def _trees(text: str) -> Iterator[dict[str, NDArray[Any]]]:
    """The arrays of each tree in LightGBM's text format."""
    for block in text.partition("\nend of trees")[0].split("\nTree=")[1:]:
        lines = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        names = ("split_feature", "decision_type", "left_child", "right_child")
        tree: dict[str, NDArray[Any]] = {name: np.array(lines.get(name, "").split(), dtype=np.int64) for name in names}
        for name in ("threshold", "leaf_value", "split_gain"):
            tree[name] = np.array(lines.get(name, "").split(), dtype=np.float64)
        yield tree


def pairs_of(grown: Sequence[Grown], numbers: int) -> list[tuple[int, int]]:
    """Pairs of the first `numbers` features, by what splits by one gain right below splits by the other."""
    gains: Counter[tuple[int, int]] = Counter()
    for tree in (tree for each in grown for tree in each.trees):
        feature, gain = tree["split_feature"].tolist(), tree["split_gain"].tolist()
        for children in (tree["left_child"].tolist(), tree["right_child"].tolist()):
            for above, below in enumerate(children):
                if below >= 0 and feature[above] != feature[below] and max(feature[above], feature[below]) < numbers:
                    gains[min(feature[above], feature[below]), max(feature[above], feature[below])] += gain[below]
    return [pair for pair, _ in sorted(gains.items(), key=lambda found: (-found[1], found[0]))]


def tensors_of(problem: Problem, grown: Sequence[Grown], fill: NDArray[np.float32]) -> dict[str, Tensor]:
    """The tensors of a TreesNet; a number that was never missing in training counts as `fill` [features] if it is."""
    found: dict[str, list[NDArray[Any]]] = {name: [] for name in _NODE_TENSORS}
    roots, nodes, leaves = [], 0, 0
    for part, each in zip(problem.parts, grown, strict=True):
        for index, tree in enumerate(each.trees):
            output = part.outputs[index % len(part.outputs)]
            for name, array in _tree(tree, nodes, leaves, output, fill).items():
                found[name].append(array)
            roots.append(nodes)
            nodes, leaves = nodes + len(found["feature"][-1]), leaves + len(found["leaf"][-1])
    tensors = {name: torch.from_numpy(np.concatenate(arrays)) for name, arrays in found.items()}
    return tensors | {"roots": torch.tensor(roots), "base": torch.from_numpy(problem.base).float()}


_NODE_TENSORS = ("feature", "threshold", "yes", "no", "missing", "leaf", "target")


def _tree(
    tree: dict[str, NDArray[Any]], node: int, leaf: int, output: int, fill: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """One tree whose nodes and leaves are numbered from `node` and `leaf`."""
    if not len(tree["split_feature"]):  # a tree of one leaf: a node whose both branches are that leaf
        tree = tree | {name: np.array([value]) for name, value in _STUMP.items()}
    feature, kind = tree["split_feature"], tree["decision_type"]
    threshold = _float_below(tree["threshold"])
    children = {
        name: np.where(tree[side] >= 0, tree[side] + node, tree[side] - leaf)
        for name, side in (("yes", "left_child"), ("no", "right_child"))
    }
    goes_left = np.where(kind >> 2 == _MISSING_IS_NAN, kind & 2 > 0, fill[feature] <= threshold)
    return children | {
        "feature": feature,
        "threshold": threshold,
        "missing": goes_left,
        "leaf": tree["leaf_value"].astype(np.float32),
        "target": np.full(len(tree["leaf_value"]), output),
    }


_STUMP = {"split_feature": 0, "decision_type": 0, "threshold": 0.0, "left_child": -1, "right_child": -1}


def _float_below(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is not above each: `x <= value` then is the same for every float32 x."""
    largest = np.finfo(np.float32).max
    near = np.clip(values, -largest, largest).astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)
