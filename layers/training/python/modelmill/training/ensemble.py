"""The candidates' outputs of held-out rows in; the members of an ensemble and their weights, or the winner alone, out.

Members are taken greedily, with replacement (Caruana et al. 2004). An ensemble is worth it only if it is better than
the winner by more than noise on rows whose weights were chosen on other rows, and if its members together stay cheap.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor

from modelmill.aws import objects
from modelmill.core.limits import MIB
from modelmill.core.model.select import CandidateResult, runner_up
from modelmill.core.model.spec import RunSpec
from modelmill.core.model.task import Answers, answers_of
from modelmill.training.families import family_of
from modelmill.training.job import Job
from modelmill.training.losses import Difference, Floats, calibrated, difference, loss_of, row_losses
from modelmill.training.nets import Model
from modelmill.training.nets.ensemble import EnsembleNet, Member, mixed
from modelmill.training.objective import Calibration, Objective

_ROUNDS = 20
"""Of the greedy choice, so that the smallest weight is a twentieth."""
_MOST = 8
"""Candidates that are looked at, best first."""
_FEWEST_ROWS = 50
_LEAST_GAIN = 0.01
"""Share of the winner's loss that an ensemble must save: it takes the time of all its members."""
_SMALL = 2 * MIB
"""Members that take no more than this together are cheap; else they may take twice the winner's bytes."""


class Mix(NamedTuple):
    """Names and weights of the members, the winner's alone if nothing is better; `report` says why, in JSON values."""

    members: tuple[str, ...]
    weights: tuple[float, ...]
    report: dict[str, Any]


class _Heard(NamedTuple):
    """A candidate's calibrated outputs [n, K] of the rows that all candidates were measured on, and its bytes."""

    name: str
    outputs: Tensor
    size: int


def best(job: Job, spec: RunSpec, board: Sequence[CandidateResult]) -> Mix:
    """The ensemble of a leaderboard's candidates (best first), or its winner alone."""
    usable = [result for result in board if result.failure is None][:_MOST]
    winner, second = usable[0], runner_up(usable)
    report: dict[str, Any] = {"candidate": winner.candidate, "runner_up": second and second.candidate}
    if len(usable) < 2:
        return _alone(winner, report, "there is no other candidate")
    heard, target = _heard(job, usable)
    if len(target) < _FEWEST_ROWS:
        return _alone(winner, report, f"{len(target)} rows were heard of all: too few to tell")
    answers = answers_of(spec.task)
    losses = {each.name: row_losses(answers, each.outputs, target) for each in heard}
    cheap = _cheap(usable, spec)
    heard = [each for each in heard if each.name in cheap]
    if second:
        behind = difference(answers, losses[second.candidate], losses[winner.candidate], spec.recipe.seed)
        report["difference"] = behind._asdict()
    if not spec.recipe.selection.ensemble:
        return _alone(winner, report, "the recipe wants none")
    weights = _greedy(answers, heard, target, _bound(spec, heard))
    if sum(weights > 0) < 2:
        return _alone(winner, report, "no mix is better than the winner")
    gain = _honest_gain(answers, heard, target, _bound(spec, heard), spec.recipe.seed)
    report |= {"gain": gain._asdict(), "rows": len(target)}
    if gain.low <= 0 or gain.value < _LEAST_GAIN * loss_of(answers, losses[winner.candidate]):
        return _alone(winner, report, "a mix is not better by more than noise")
    taken = [index for index in np.argsort(-weights, kind="stable").tolist() if weights[index] > 0]
    members, shares = (tuple(heard[index].name for index in taken), tuple(float(weights[index]) for index in taken))
    return Mix(members, shares, report | {"members": dict(zip(members, shares, strict=True)), "why": "a mix is better"})


def assemble(
    members: Sequence[tuple[Model, dict[str, Any]]], weights: Sequence[float], objective: Objective
) -> tuple[Model, dict[str, Any]]:
    """One model of several and its preprocess.json; members with the same preprocessing share one part of it."""
    if len(members) == 1:
        return members[0]
    distinct: list[dict[str, Any]] = []
    described = []
    for (model, preprocess), weight in zip(members, weights, strict=True):
        if preprocess not in distinct:
            distinct.append(preprocess)
        described.append(Member(model.calibration, weight, f"part{distinct.index(preprocess)}"))
    net = EnsembleNet(objective.answers, [model.net for model, _ in members], described).eval()
    parts = {f"part{index}": preprocess for index, preprocess in enumerate(distinct)}
    return Model(net, objective, Calibration()), {"kind": "parts", "parts": parts}


def _alone(winner: CandidateResult, report: dict[str, Any], why: str) -> Mix:
    return Mix((winner.candidate,), (1.0,), report | {"why": why})


def _heard(job: Job, results: Sequence[CandidateResult]) -> tuple[list[_Heard], NDArray[Any]]:
    """What the candidates said of the rows that all were measured on, and the target of these rows."""
    folders = [f"{job.prefix}candidates/{result.candidate}/" for result in results]
    stored = [load(objects.get(job.bucket, folder + "outputs.safetensors")) for folder in folders]
    places = [each["places"].numpy() for each in stored]
    common = places[0]
    for each in places[1:]:
        common = np.intersect1d(common, each)
    heard = []
    for result, folder, outputs, own in zip(results, folders, stored, places, strict=True):
        calibration = Calibration(**json.loads(objects.get(job.bucket, folder + "net.json"))["calibration"])
        raw = outputs["raw"][_rows_of(common, own)]
        heard.append(_Heard(result.candidate, calibrated(calibration, raw), _size(job, folder)))
    return heard, stored[0]["target"].numpy()[_rows_of(common, places[0])]


def _rows_of(wanted: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the wanted places stand in `places`."""
    order = np.argsort(places)
    found: NDArray[np.int64] = order[np.searchsorted(places, wanted, sorter=order)]
    return found


def _cheap(results: Sequence[CandidateResult], spec: RunSpec) -> set[str]:
    """The candidates that do not slow the winner down by far: costly families join only costly winners."""
    candidates = {candidate.name: candidate for candidate in spec.candidates}
    costly = {
        result.candidate: bool(getattr(family_of(candidates[result.candidate]), "costly", False)) for result in results
    }
    return {name for name, is_costly in costly.items() if costly[results[0].candidate] or not is_costly}


def _size(job: Job, folder: str) -> int:
    return sum(
        int(objects.head(job.bucket, folder + name)["ContentLength"])
        for name in ("weights.safetensors", "preprocess.json")
    )


def _bound(spec: RunSpec, heard: Sequence[_Heard]) -> float:
    """Most bytes of all members."""
    said = spec.recipe.optimise.max_mb
    return said * 1e6 if said is not None else max(_SMALL, 2 * heard[0].size)


def _greedy(answers: Answers, heard: Sequence[_Heard], target: NDArray[Any], bound: float) -> Floats:
    """Weights of the members, summing to 1: the best of _ROUNDS rounds that each add the member that helps most."""
    counts, chosen, least = np.zeros(len(heard)), np.zeros(len(heard)), np.inf
    for _ in range(_ROUNDS):
        tried = []
        for index in range(len(heard)):
            more = counts + (np.arange(len(heard)) == index)
            if sum(each.size for each, count in zip(heard, more, strict=True) if count) <= bound or not counts.any():
                tried.append((loss_of(answers, _mixed_losses(answers, heard, more, target)), index, more))
        if not tried:
            break  # even the first is too large to have company
        loss, _, counts = min(tried, key=lambda each: each[:2])
        if loss < least:
            least, chosen = loss, counts / counts.sum()
    return chosen


def _mixed_losses(answers: Answers, heard: Sequence[_Heard], counts: Floats, target: NDArray[Any]) -> Floats:
    taken = [(each.outputs, count / counts.sum()) for each, count in zip(heard, counts.tolist(), strict=True) if count]
    return row_losses(answers, mixed(answers, [outputs for outputs, _ in taken], [w for _, w in taken]), target)


def _honest_gain(
    answers: Answers, heard: Sequence[_Heard], target: NDArray[Any], bound: float, seed: int
) -> Difference:
    """How much the winner loses more than a mix, each half of the rows measured with weights of the other half."""
    half = np.random.default_rng(seed).permutation(len(target)) % 2
    mix = np.empty(len(target))
    for side in (0, 1):
        chosen_on, measured_on = np.flatnonzero(half != side), np.flatnonzero(half == side)
        weights = _greedy(answers, _part(heard, chosen_on), target[chosen_on], bound)
        mix[measured_on] = _mixed_losses(answers, _part(heard, measured_on), weights, target[measured_on])
    return difference(answers, row_losses(answers, heard[0].outputs, target), mix, seed)


def _part(heard: Sequence[_Heard], rows: NDArray[np.int64]) -> list[_Heard]:
    index = torch.from_numpy(rows)
    return [each._replace(outputs=each.outputs[index]) for each in heard]
