"""Trees as tensors: the net and its ONNX model against LightGBM's own predictions, at every edge."""

import lightgbm
import numpy as np
import onnxruntime as ort
import pytest
import torch

from modelmill.training.boosters import Grown, Growth, Problem, grow, pairs_of, problem_of, tensors_of
from modelmill.training.convert import session_of
from modelmill.training.nets import Model, config_of, net_of
from modelmill.training.nets.trees import TreesNet
from modelmill.training.objective import Calibration, Classes, Measure, Objective, Tags
from modelmill.training.run import Run
from tests.unit.model.boosting import run_of

ROWS, COLUMNS = 600, 4
GROWTH = Growth(leaves=12, learning_rate=0.2, rounds=20, bins=255, min_rows=5, feature_share=1.0, row_share=0.8, l2=1.0)
CASES: dict[str, Objective] = {
    "two classes": Classes(2),
    "weighted classes": Classes(2, torch.tensor([0.7, 1.9])),
    "four classes": Classes(4),
    "a class without rows": Classes(5),
    "tags": Tags(3),
    "measure": Measure(0.0, 1.0),
}


def _features() -> torch.Tensor:
    """A smooth number, one that is often missing, one of few values with many zeros, one that never varies."""
    chance = np.random.default_rng(1)
    smooth, gaps = chance.normal(size=(2, ROWS))
    gaps[chance.random(ROWS) < 0.3] = np.nan
    few = chance.choice([0.0, 0.0, -0.0, 1e-36, 0.1, 1e30, -1e30], ROWS)
    return torch.from_numpy(np.column_stack([smooth, gaps, few, np.ones(ROWS)])).float()


def _target(objective: Objective, features: torch.Tensor) -> torch.Tensor:
    signal = features[:, 0] + features[:, 1].nan_to_num(-1) + (features[:, 2] > 0) - 0.5
    if objective.answers == "regression":
        return signal
    if objective.answers == "multilabel":
        return torch.stack([signal > 0, features[:, 0] > 0.5, torch.zeros(ROWS)], dim=1).float()
    return torch.bucketize(signal, torch.tensor([0.0] if objective.outputs == 2 else [-1.0, 0.0, 1.0]))


def _grown(objective: Objective, features: torch.Tensor) -> tuple[Problem, list[Grown], Run]:
    problem = problem_of(objective, _target(objective, features), getattr(objective, "weights", None))
    run = run_of(objective)
    return problem, grow(features, problem, None, [GROWTH] * len(problem.parts), run), run


def _net(problem: Problem, grown: list[Grown], features: torch.Tensor) -> TreesNet:
    nothing = torch.zeros(0)
    inputs = {
        **dict.fromkeys(("fill", "centre", "inverse_scale"), torch.zeros(COLUMNS)),
        **dict.fromkeys(("left", "right", "starts"), torch.zeros(0, dtype=torch.int64)),
        "cosine": nothing,
        "sine": nothing,
        "table": torch.zeros(0, 1),
    }
    fill = features.nanmedian(dim=0).values.numpy()
    tensors = {f"inputs.{name}": tensor for name, tensor in inputs.items()} | tensors_of(problem, grown, fill)
    return TreesNet(tensors)


def _edges(features: torch.Tensor, grown: list[Grown]) -> torch.Tensor:
    """The training rows, all thresholds with their neighbours among the float32, and the worst numbers."""
    thresholds = np.unique(np.concatenate([tree["threshold"] for each in grown for tree in each.trees]))
    near = np.concatenate([thresholds, [0.0, 1e30, -1e30, 1e-36, 1e-45]]).astype(np.float32)
    values = np.concatenate([near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))])
    # LightGBM learns from -1e-35 as a number below zero, but takes it for zero when it answers.
    values[np.abs(values) == np.float32(1e-35)] = 0
    values = np.clip(np.append(values, np.float32(np.nan)), -1e30, 1e30)
    made = np.random.default_rng(2).choice(values, (4_000, COLUMNS))
    return torch.cat([features, torch.from_numpy(made.astype(np.float32))])


def _by_lightgbm(objective: Objective, features: torch.Tensor, asked: torch.Tensor) -> np.ndarray:
    """Raw outputs float64 [rows, K] of the same boosters, from LightGBM itself."""
    problem, _, run = _grown(objective, features)
    outputs = np.tile(problem.base, (len(asked), 1))
    for part in problem.parts:
        parameters = GROWTH.parameters(part, run)
        start = np.tile(problem.base[part.outputs], (ROWS, 1))
        start = start[:, 0] if len(part.outputs) == 1 else start
        data = lightgbm.Dataset(
            features.numpy(), part.target, weight=problem.weights, init_score=start, params=parameters
        )
        booster = lightgbm.train(parameters, data, GROWTH.rounds)
        raw = booster.predict(asked.numpy().astype(np.float64), raw_score=True)
        outputs[:, part.outputs] += np.asarray(raw).reshape(len(asked), -1)
    return outputs


@pytest.mark.parametrize("name", CASES)
def test_the_net_and_its_onnx_model_answer_as_lightgbm_does_at_every_edge(name: str) -> None:
    objective, features = CASES[name], _features()
    problem, grown, _ = _grown(objective, features)
    net = _net(problem, grown, features)
    asked = _edges(features, grown)
    # A number that was never missing in training counts as its median where LightGBM would take it for 0.
    usual = torch.where(torch.isnan(asked), features.nanmedian(dim=0).values, asked)
    asked_of_lightgbm = torch.cat([usual[:, :1], asked[:, 1:2], usual[:, 2:]], dim=1)
    arrays = {"numbers": asked, "categories": torch.zeros(len(asked), 0, dtype=torch.int64)}
    raw = net(**arrays)
    np.testing.assert_allclose(raw, _by_lightgbm(objective, features, asked_of_lightgbm), atol=1e-5)
    again = net_of(config_of(net), dict(net.state_dict()))
    assert torch.equal(again(**arrays), raw)

    model = Model(net, objective, Calibration())
    session = session_of(model.onnx())
    served = session.run(None, {"numbers": asked.numpy()} | _unless_unused(session, arrays))[0]
    np.testing.assert_allclose(served, objective.activate(raw), atol=1e-6)
    alone = np.concatenate([session.run(None, _row(session, arrays, row))[0] for row in range(0, len(asked), 97)])
    np.testing.assert_array_equal(alone, served[::97])


def _unless_unused(session: ort.InferenceSession, arrays: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    names = {each.name for each in session.get_inputs()}
    return {name: array.numpy() for name, array in arrays.items() if name in names}


def _row(session: ort.InferenceSession, arrays: dict[str, torch.Tensor], row: int) -> dict[str, np.ndarray]:
    return {name: array[row : row + 1] for name, array in _unless_unused(session, arrays).items()}


def test_a_booster_that_finds_no_split_still_answers() -> None:
    features, objective = torch.ones(40, COLUMNS), Classes(2)
    problem = problem_of(objective, torch.tensor([0, 1, 1, 1]).repeat(10))
    grown = grow(features, problem, None, [GROWTH], run_of(objective))
    net = _net(problem, grown, features)
    raw = net(features, torch.zeros(40, 0, dtype=torch.int64))
    assert torch.softmax(raw, dim=1)[:, 1] == pytest.approx(0.75, abs=0.02)
    assert Model(net, objective, Calibration()).onnx()


def test_the_pair_that_interacts_most_comes_first() -> None:
    features = torch.from_numpy(np.random.default_rng(3).normal(size=(2_000, 5))).float()
    objective = Measure(0.0, 1.0)
    problem = problem_of(objective, (features[:, 1] * features[:, 3] + 0.3 * features[:, 0]).sign())
    grown = grow(features, problem, None, [GROWTH], run_of(objective))
    assert pairs_of(grown, 5)[0] == (1, 3)
    assert all(second < 3 for _, second in pairs_of(grown, 3))
