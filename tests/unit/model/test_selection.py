"""How a candidate is measured, within its time; and ensembles: what a mix says, in torch and ONNX, and when it wins."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from safetensors.torch import save
from sklearn.metrics import log_loss

from modelmill.aws import objects
from modelmill.core.errors import Rejected
from modelmill.core.model.select import CandidateResult
from modelmill.core.model.spec import Candidate, RunSpec
from modelmill.core.model.task import Task
from modelmill.serving.features import Features
from modelmill.training import ensemble
from modelmill.training.families import FAMILIES
from modelmill.training.job import Job
from modelmill.training.losses import interval, loss_of, row_losses
from modelmill.training.nets import KINDS, Model, config_of, net_of
from modelmill.training.objective import Calibration, Classes, Measure, Objective, Tags
from modelmill.training.train import train
from tests.unit.model import toy
from tests.unit.model.world import Cloud

ROWS, VALIDATION = toy.rows_of(300), toy.rows_of(150, 1)
RANDOM = np.random.default_rng(3)


@pytest.fixture
def toy_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "toy", "toy.Slope")
    monkeypatch.setitem(sys.modules, "modelmill.training.families.toy", toy)
    toy.FITS.clear()


def toy_run(path: Path, deadline: float | None = None, recipe: dict[str, Any] | None = None, **settings: Any) -> Any:
    candidate = Candidate(name="toy", family="toy", hyperparameters=settings)
    return train(ROWS, VALIDATION, toy.run_of(path, [candidate], "toy", deadline, **(recipe or {})))


@pytest.mark.usefixtures("toy_family")
def test_the_loss_is_that_of_rows_that_no_fit_saw_with_an_interval(tmp_path: Path) -> None:
    trained = toy_run(tmp_path, slope=2.0)
    probabilities = torch.softmax(trained.raw.double() * trained.calibration.scale, dim=1).numpy()
    assert trained.result.loss == pytest.approx(log_loss(trained.target, probabilities), abs=1e-9)
    assert np.array_equal(trained.target, np.r_[ROWS.target, VALIDATION.target][trained.places])
    low, high = trained.result.interval
    assert low < trained.result.loss < high
    losses = -np.log(probabilities[np.arange(450), trained.target])
    assert high - low == pytest.approx(2 * 1.96 * losses.std() / 450**0.5, rel=0.15)
    assert toy_run(tmp_path, slope=2.0).result.interval == (low, high)


@pytest.mark.usefixtures("toy_family")
def test_what_fails_in_a_fold_says_in_which(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"fold 1 of 5: ValueError: slope 2\.00"):
        toy_run(tmp_path, slope=2.0, fails_from=0.0)


@pytest.mark.usefixtures("toy_family")
def test_what_diverged_says_so(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="the training diverged") as refusal:
        toy_run(tmp_path, slope=3e38, fails_from=1e300)
    assert "learning_rate" in (refusal.value.hint or "")


@pytest.mark.usefixtures("toy_family")
def test_a_net_that_is_not_fitted_again_is_that_of_the_first_fold(tmp_path: Path) -> None:
    assert toy_run(tmp_path, slope=2.0, again=False).net.slope.item() == 2.0


@pytest.mark.usefixtures("toy_family")
def test_time_is_shared_by_the_fits_and_none_begins_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines = []
    fit = toy.Slope.fit

    def noted(self: toy.Slope, learnt: Any, held_out: Any, run: Any) -> Any:
        deadlines.append(run.deadline - time.monotonic())
        return fit(self, learnt, held_out, run)

    monkeypatch.setattr(toy.Slope, "fit", noted)
    budget = {"budget": {"seconds": 600}}
    assert toy_run(tmp_path, recipe=budget, slope=2.0).result.folds == 5
    assert deadlines == pytest.approx([100, 120, 150, 200, 300], abs=3)
    late = toy_run(tmp_path, slope=2.0, deadline=time.monotonic() - 1).result
    assert (late.folds, late.rows) == (1, 90)


OBJECTIVES: list[Objective] = [Classes(3), Tags(3), Measure(50.0, 10.0)]


@pytest.fixture
def plain_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "plain", toy.PlainNet)


def member(objective: Objective, seed: int, numbers: list[str]) -> tuple[Model, dict[str, Any]]:
    """A net with a table by chance and a calibration of its own; the preprocessing of these numbers."""
    table = torch.randn(len(numbers), objective.outputs, generator=torch.Generator().manual_seed(seed))
    calibration = Calibration(1 + seed / 10, 50.0 if objective.answers == "regression" else 0.0)
    preprocess = {"kind": "tabular", "numbers": numbers, "categories": []}
    return Model(toy.PlainNet(table * 3), objective, calibration), preprocess


@pytest.mark.usefixtures("plain_net")
@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda each: each.answers)
def test_a_mix_answers_the_weighted_mean_of_its_members_in_torch_and_in_onnx(objective: Objective) -> None:
    members = [member(objective, 1, ["x", "y"]), member(objective, 2, ["x", "y"]), member(objective, 3, ["y"])]
    weights = [0.5, 0.3, 0.2]
    columns = {name: RANDOM.normal(size=40).tolist() for name in ("x", "y")}
    columns["x"][0] = 1e4  # every probability but one is nothing
    alone = [model.answers(Features(preprocess).arrays(columns)).double() for model, preprocess in members]
    expected = torch.stack([weight * each for weight, each in zip(weights, alone, strict=True)]).sum(dim=0)

    model, preprocess = ensemble.assemble(members, weights, objective)
    assert len(preprocess["parts"]) == 2, "equal preprocessing is one part"
    arrays = Features(json.loads(json.dumps(preprocess))).arrays(columns)
    assert torch.allclose(model.answers(arrays).double(), expected, rtol=1e-4, atol=1e-6)

    again = net_of(json.loads(json.dumps(config_of(model.net))), model.net.state_dict())
    assert torch.equal(Model(again, objective, Calibration()).answers(arrays), model.answers(arrays))

    session = ort.InferenceSession(model.onnx(), providers=["CPUExecutionProvider"])
    fed = {each.name: arrays[each.name] for each in session.get_inputs()}
    assert np.allclose(session.run([objective.answer], fed)[0], expected.numpy(), rtol=1e-4, atol=1e-6)


def test_a_mix_of_one_is_that_one() -> None:
    only = member(Classes(3), 1, ["x"])
    assert ensemble.assemble([only], [1.0], Classes(3)) is only


class Board:
    """Candidates whose outputs lie where training jobs leave them."""

    def __init__(self, path: Path, spec: RunSpec, target: np.ndarray[Any, Any]) -> None:
        self.job = Job("package", "models", "default/runs/r1/", "a", "batch", path)
        self.spec, self.target, self.results = spec, target, list[CandidateResult]()

    def add(self, name: str, outputs: np.ndarray[Any, Any], size: int = 100, places: Any = None) -> None:
        places = np.arange(len(self.target)) if places is None else places
        raw, target = torch.from_numpy(outputs[places]).float(), torch.from_numpy(self.target[places])
        files = {
            "outputs.safetensors": save({"raw": raw, "places": torch.from_numpy(places), "target": target}),
            "net.json": b'{"kind": "plain", "calibration": {"scale": 1.0, "shift": 0.0}}',
            "preprocess.json": b"{}",
            "weights.safetensors": b"x" * size,
        }
        for file, data in files.items():
            objects.put("models", f"{self.job.prefix}candidates/{name}/{file}", data)
        losses = row_losses("classification", raw, self.target[places])
        loss = loss_of("classification", losses)
        self.results.append(CandidateResult(candidate=name, loss=loss, interval=interval("classification", losses, 7)))
        self.results.sort(key=lambda each: each.loss or 0)

    def best(self) -> ensemble.Mix:
        return ensemble.best(self.job, self.spec, self.results)


ROWS_HEARD = 800
TRUTH = RANDOM.integers(2, size=ROWS_HEARD)


def signal(share: int) -> np.ndarray[Any, Any]:
    """Log odds that know every second row, beginning with `share`, and nothing of the others."""
    odds = np.where(np.arange(ROWS_HEARD) % 2 == share, (TRUTH * 2 - 1) * 2.0, RANDOM.normal(size=ROWS_HEARD) / 2)
    return np.stack([np.zeros(ROWS_HEARD), odds], axis=1)


@pytest.fixture
def board(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Board:
    monkeypatch.setitem(FAMILIES, "toy", "toy.Slope")
    monkeypatch.setitem(FAMILIES, "costly", "toy.Costly")
    monkeypatch.setitem(sys.modules, "modelmill.training.families.toy", toy)
    del cloud  # where the outputs are put
    families = {"a": "toy", "b": "toy", "c": "toy", "slow": "costly"}
    candidates = [Candidate(name=name, family=family) for name, family in families.items()]
    spec = toy.run_of(tmp_path, candidates, "a", **getattr(request, "param", {})).spec
    return Board(tmp_path, spec, TRUTH)


def test_members_that_know_different_things_are_mixed(board: Board) -> None:
    board.add("a", signal(0))
    board.add("b", signal(1))
    board.add("c", np.zeros((ROWS_HEARD, 2)))
    mix = board.best()
    assert set(mix.members) == {"a", "b"}
    assert sum(mix.weights) == pytest.approx(1)
    assert min(mix.weights) > 0.3
    gain, behind = mix.report["gain"], mix.report["difference"]
    assert 0 < gain["low"] < gain["value"] < gain["high"]
    assert mix.report["runner_up"] == board.results[1].candidate
    assert behind["value"] == pytest.approx((board.results[1].loss or 0) - (board.results[0].loss or 0), abs=1e-5)
    assert json.loads(json.dumps(mix.report)) == mix.report
    assert board.best() == mix


def test_a_gain_that_may_be_chance_leaves_the_winner_alone(board: Board) -> None:
    same = signal(0)
    board.add("a", same)
    board.add("b", same + RANDOM.normal(size=same.shape) * 0.02)
    mix = board.best()
    assert len(mix.members) == 1
    assert mix.members[0] == mix.report["candidate"] == board.results[0].candidate


def test_a_mix_that_is_dear_is_not_taken(board: Board) -> None:
    board.add("a", signal(0) * 1.1)
    board.add("b", signal(1), size=3_000_000)
    assert len(board.best().members) == 1
    board.add("slow", signal(1))
    assert "slow" not in board.best().members
    assert board.best().report["runner_up"] is not None


@pytest.mark.parametrize("board", [{"optimise": {"max_mb": 0.001}}], indirect=True)
def test_what_is_too_large_already_has_no_company(board: Board) -> None:
    board.add("a", signal(0), size=2_000)
    board.add("b", signal(1), size=2_000)
    assert len(board.best().members) == 1


@pytest.mark.parametrize("board", [{"selection": {"ensemble": False}}], indirect=True)
def test_the_recipe_may_want_none(board: Board) -> None:
    board.add("a", signal(0))
    board.add("b", signal(1))
    mix = board.best()
    assert (len(mix.members), mix.weights) == (1, (1.0,))
    assert "difference" in mix.report


def test_candidates_are_compared_on_the_rows_that_all_were_measured_on(board: Board) -> None:
    board.add("a", signal(0), places=RANDOM.permutation(ROWS_HEARD))
    board.add("b", signal(1), places=np.arange(ROWS_HEARD - 300, ROWS_HEARD))
    mix = board.best()
    assert (set(mix.members), mix.report["rows"]) == ({"a", "b"}, 300)


def test_few_common_rows_and_a_single_candidate_are_no_ensemble(board: Board) -> None:
    board.add("a", signal(0))
    assert board.best().report["runner_up"] is None
    board.add("b", signal(1), places=np.arange(20))
    assert len(board.best().members) == 1


@pytest.mark.parametrize("task", ["tabular-classification", "tabular-regression"])
def test_jobs_leave_what_an_ensemble_needs(cloud: Cloud, task: Task) -> None:
    def target(x: float) -> str | float:
        return 3 * x + 100 if task == "tabular-regression" else "yes" if x > 0 else "no"

    splits = {}
    for index, split in enumerate(("train", "validation", "test")):
        numbers = np.random.default_rng(index).normal(size=120)
        splits[split] = {
            "x": numbers.tolist(),
            "label": [target(x + e) for x, e in zip(numbers, numbers[::-1] / 3, strict=True)],
        }
    spec = cloud.put_run("r1", task, {"x": "number"}, splits, candidates=["linear", "boosting"])
    assert [cloud.job("train", "r1", candidate.name) for candidate in spec.candidates] == [0, 0]
    job = Job("package", "models", "default/runs/r1/", "linear", "batch", cloud.root)
    documents = [cloud.json(f"default/runs/r1/candidates/{name}/result.json") for name in ("linear", "boosting")]
    results = sorted((CandidateResult.model_validate(each) for each in documents), key=lambda each: each.loss or 0)
    assert all(result.folds == 5 and result.interval for result in results)
    mix = ensemble.best(job, spec, results)
    assert mix.members[0] in {"linear", "boosting"}
    assert mix.report["difference"]["value"] == pytest.approx((results[1].loss or 0) - (results[0].loss or 0), rel=1e-3)
