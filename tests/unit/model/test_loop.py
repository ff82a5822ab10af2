"""The training loop: what it moves by, when it ends, what it keeps, and what the recipe changes of it."""

import math
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from modelmill.training import batches, optimisers, schedules
from modelmill.training.loop import Loop
from modelmill.training.objective import Classes
from tests.unit.model.looping import Toy, equal, run_of

LOOP = Loop(epochs=6, batch=32, learning_rate=5e-3)
TORCHS = {
    "sgd": (optim.SGD, {}),
    "momentum": (optim.SGD, {"momentum": 0.9}),
    "adam": (optim.Adam, {}),
    "adamw": (optim.AdamW, {}),
}


def test_it_learns_and_keeps_the_weights_of_the_best_epoch(tmp_path: Path) -> None:
    toy = Toy()
    before = toy.loss()
    ended = toy.train(replace(LOOP, epochs=40, learning_rate=0.05), run_of(tmp_path))
    assert ended.epochs == 40
    assert ended.best_loss < 0.7 * before
    assert ended.best_epoch < ended.epochs, "so high a rate forgets again"
    assert toy.loss() == ended.best_loss
    assert not toy.net.training


def test_patience_ends_it_and_no_patience_does_not(tmp_path: Path) -> None:
    loop = replace(LOOP, epochs=60, learning_rate=0.05, patience=3)
    ended = Toy().train(loop, run_of(tmp_path / "one"))
    assert ended.epochs == ended.best_epoch + 3 < 60
    assert Toy().train(replace(loop, epochs=20, patience=None), run_of(tmp_path / "two")).epochs == 20


def test_a_refit_repeats_the_first_epochs_of_the_same_schedule_and_keeps_the_last(tmp_path: Path) -> None:
    first, again, fixed = Toy(dropout=0.2), Toy(dropout=0.2), Toy(dropout=0.2)
    loop = replace(LOOP, epochs=30, learning_rate=0.05, patience=4)
    ended = first.train(loop, run_of(tmp_path / "one"))
    assert ended.best_epoch < ended.epochs
    assert again.train(loop, run_of(tmp_path / "two"), validate=None, stop=ended.best_epoch).epochs == ended.best_epoch
    assert equal(first.weights(), again.weights())
    run = run_of(tmp_path / "three", training={"epochs": 9})
    assert fixed.train(replace(loop, epochs=4), run, validate=None)[:2] == (4, 4)


def test_no_time_ends_it_within_an_epoch_and_what_it_has_is_kept(tmp_path: Path) -> None:
    toy = Toy(pause=0.02)
    run = replace(run_of(tmp_path), deadline=time.monotonic() + 0.05)
    ended = toy.train(replace(LOOP, epochs=1_000), run)
    assert ended.epochs == 1
    assert toy.loss() == ended.best_loss


def test_a_loop_that_diverges_ends_and_keeps_what_was_best(tmp_path: Path) -> None:
    toy, kept, losses = Toy(), list[dict[str, Tensor]](), iter([1.0, 0.5, math.nan, math.nan])

    def validate() -> float:
        kept.append(toy.weights())
        return next(losses)

    run = run_of(tmp_path)
    ended = toy.train(replace(LOOP, patience=2), run, validate=validate)
    assert ended == (4, 2, 0.5)
    assert [epoch["validation_loss"] for epoch in run.history] == [1.0, 0.5]
    assert equal(toy.weights(), kept[1])


def test_a_loop_that_never_had_a_loss_says_so(tmp_path: Path) -> None:
    loop = replace(LOOP, optimiser="sgd", learning_rate=1e30, clip=None, patience=2)
    assert Toy().train(loop, run_of(tmp_path)) == (2, 0, math.inf)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path) -> None:
    toys = []
    for number, seed in enumerate((1, 1, 2)):
        toys.append(Toy(dropout=0.3))
        toys[-1].train(LOOP, run_of(tmp_path / str(number), seed=seed))
        torch.rand(number + 1)  # chance from outside
    one, same, other = (toy.weights() for toy in toys)
    assert equal(one, same)
    assert not equal(one, other)


def test_accumulated_steps_move_as_the_large_batch_does(tmp_path: Path) -> None:
    large, small = (Toy(rows=192, dtype=torch.float64) for _ in range(2))
    weighted: dict[str, Any] = {"weights": [1.0, 3.0, 0.2], "lines": None}
    large.train(replace(LOOP, batch=64), run_of(tmp_path / "one", **weighted))
    small.train(replace(LOOP, batch=16, accumulate=4), run_of(tmp_path / "two", **weighted))
    assert equal(large.weights(), small.weights(), within=1e-12)


def test_gradient_descent_makes_one_move_an_epoch_from_all_rows(tmp_path: Path) -> None:
    toy, plain = (Toy(dtype=torch.float64) for _ in range(2))
    loop = Loop(
        epochs=5, batch=32, learning_rate=0.5, weight_decay=0, optimiser="gradient-descent", schedule="constant",
        clip=None,
    )  # fmt: skip
    toy.train(loop, run_of(tmp_path), validate=None)
    for _ in range(5):
        loss = nn.functional.cross_entropy(plain.net.train()(plain.values[: plain.rows]), plain.target[: plain.rows])
        gradients = torch.autograd.grad(loss, list(plain.net.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(plain.net.parameters(), gradients, strict=True):
                parameter.sub_(gradient, alpha=0.5)
    assert equal(toy.weights(), plain.weights(), within=1e-12)


def test_the_recipe_overrules_a_family(tmp_path: Path) -> None:
    said = {
        "optimiser": "momentum", "schedule": "cosine", "learning_rate": 0.02, "weight_decay": 0.1, "epochs": 3,
        "batch": 50, "accumulate": 2, "clip": 0.5, "patience": 2, "precision": "bf16", "compile": True,
    }  # fmt: skip
    recipe = run_of(tmp_path, training=said).spec.recipe
    changed = LOOP.with_recipe(recipe.training)
    assert {name: getattr(changed, name) for name in said} == said
    assert LOOP.with_recipe(run_of(tmp_path).spec.recipe.training) == LOOP
    assert LOOP.with_recipe(run_of(tmp_path, training={"optimiser": "sgd"}).spec.recipe.training).learning_rate == 0.1
    run = run_of(tmp_path, training={"epochs": 2})
    assert Toy().train(LOOP, run).epochs == 2


def test_bf16_computes_in_half_precision_and_keeps_float32_weights(tmp_path: Path) -> None:
    toy, seen = Toy(), set()
    toy.net.leave.register_forward_hook(lambda _, __, outputs: seen.add(outputs.dtype) if toy.net.training else None)
    ended = toy.train(replace(LOOP, precision="bf16"), run_of(tmp_path))
    assert seen == {torch.bfloat16}
    assert {parameter.dtype for parameter in toy.net.parameters()} == {torch.float32}
    full = Toy().train(LOOP, run_of(tmp_path / "full"))
    assert ended.best_loss == pytest.approx(full.best_loss, abs=0.05)
    assert ended.best_loss != full.best_loss


def test_history_and_lines_tell_every_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    run = run_of(tmp_path, lines=lines)
    Toy().train(LOOP, run)
    assert [epoch["epoch"] for epoch in run.history] == [1, 2, 3, 4, 5, 6]
    assert run.history[-1]["training_loss"] < run.history[0]["training_loss"]
    assert set(run.history[0]) == {"part", "epoch", "training_loss", "validation_loss", "learning_rate"}
    assert len(capsys.readouterr().out.splitlines()) == 6
    assert "epoch 6 of 6, training loss" in lines[-1]


def _steps(groups: list[optimisers.Group], name: optimisers.Name, gradients: list[list[Tensor]], rate: float) -> None:
    optimiser = optimisers.optimiser_of(name, groups)
    for step in gradients:
        for parameter, gradient in zip(optimiser.parameters(), step, strict=True):
            parameter.grad = gradient.clone()
        optimiser.step(rate)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", TORCHS)
def test_optimisers_are_torchs_own(name: optimisers.Name, fused: bool) -> None:
    kind, settings = TORCHS[name]
    made = torch.Generator().manual_seed(1)
    start = [torch.randn(*shape, generator=made, dtype=torch.float64) for shape in ((5, 3), (7,), (2, 2, 2))]
    gradients = [[torch.randn_like(tensor) for tensor in start] for _ in range(20)]
    ours, theirs = ([nn.Parameter(tensor.clone()) for tensor in start] for _ in range(2))
    _steps([optimisers.Group(ours[:2], 1.0, 0.1), optimisers.Group(ours[2:], 0.5, 0.0)], name, gradients, 0.01)
    groups: list[dict[str, Any]] = [
        {"params": theirs[:2], "lr": 0.01, "weight_decay": 0.1},
        {"params": theirs[2:], "lr": 0.005, "weight_decay": 0.0},
    ]
    reference = kind(groups, fused=fused, foreach=False, **settings)
    for step in gradients:
        for parameter, gradient in zip(theirs, step, strict=True):
            parameter.grad = gradient.clone()
        reference.step()
    for one, other in zip(ours, theirs, strict=True):
        if fused:
            assert torch.equal(one, other)
        assert torch.allclose(one, other, rtol=0, atol=1e-12)


def test_parameters_are_grouped_by_their_names_and_biases_and_norms_do_not_decay() -> None:
    net = Toy().net
    groups = optimisers.groups_of(net, 0.1, {"blocks.": 0.5, "blocks.1": 0.1})
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    found = {names[id(p)]: (group.factor, group.weight_decay) for group in groups for p in group.parameters}
    assert set(found) == set(names.values())
    assert found["enter.weight"] == (1.0, 0.1)
    assert found["enter.bias"] == (1.0, 0.0)
    assert found["blocks.0.0.weight"] == (0.5, 0.0)
    assert found["blocks.1.1.weight"] == (0.1, 0.1)
    net.enter.weight.requires_grad_(False)
    assert len(optimisers.optimiser_of("adamw", optimisers.groups_of(net, 0, {})).parameters()) == len(found) - 1


@pytest.mark.parametrize("limit", [0.1, 3.0, 1e9])
def test_clipping_is_by_the_norm_of_all_gradients_together(limit: float) -> None:
    made = torch.Generator().manual_seed(1)
    parameters = [nn.Parameter(torch.zeros(size)) for size in (3, 50, 400)]
    for scale, parameter in enumerate(parameters):
        parameter.grad = torch.randn(len(parameter), generator=made) * 10**scale
    ours = [parameter.grad.clone() for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.clip_grad_norm_(parameters, limit)
    optimisers.clip(ours, limit, nn.utils.get_total_norm(ours))
    for gradient, parameter in zip(ours, parameters, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(gradient, parameter.grad, rtol=1e-6)
    assert float(torch.cat(ours).norm()) == pytest.approx(min(limit, float(norm)), rel=1e-4)


def _torchs(name: schedules.Name, optimiser: optim.Optimizer, moves: int) -> Any:
    lr: Any = optim.lr_scheduler
    if name == "linear":
        warm = max(1, round(0.1 * moves))
        up = lr.LinearLR(optimiser, 1 / warm, 1.0, warm - 1)
        down = lr.LinearLR(optimiser, 1.0, 1e-12, moves - warm)
        return lr.SequentialLR(optimiser, [up, down], [warm])
    return {
        "constant": lambda: lr.ConstantLR(optimiser, 1.0),
        "step": lambda: lr.StepLR(optimiser, math.ceil(moves / 3), 0.1),
        "cosine": lambda: lr.CosineAnnealingLR(optimiser, moves),
        "one-cycle": lambda: lr.OneCycleLR(optimiser, 1.0, moves, pct_start=0.1),
    }[name]()


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's own, about its own
@pytest.mark.parametrize("moves", [30, 100, 2_000])
@pytest.mark.parametrize("name", ["constant", "step", "cosine", "one-cycle", "linear"])
def test_schedules_are_torchs_own(name: schedules.Name, moves: int) -> None:
    optimiser = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = _torchs(name, optimiser, moves)
    for move in range(moves):
        assert schedules.SCHEDULES[name](move, moves) == pytest.approx(optimiser.param_groups[0]["lr"], abs=1e-9), move
        optimiser.step()
        reference.step()


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_the_shortest_loops_have_a_rate(name: schedules.Name) -> None:
    for moves in (1, 2, 3, 11):
        shares = [schedules.SCHEDULES[name](move, moves) for move in range(moves)]
        assert all(0 <= share <= 1 for share in shares)
        assert max(shares) > 0.3


def test_a_plateau_is_torchs_own() -> None:
    optimiser = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.1, patience=2, eps=0)
    ours = schedules.Plateau()
    made = torch.Generator().manual_seed(1)
    for loss in (1 / (1 + torch.arange(40)) + 0.05 * torch.rand(40, generator=made)).tolist():
        ours.see(loss)
        reference.step(loss)
        assert ours.factor == pytest.approx(optimiser.param_groups[0]["lr"])
    assert ours.factor < 0.1


def test_the_rate_falls_on_a_plateau(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    Toy().train(replace(LOOP, epochs=30, learning_rate=0.05, schedule="plateau"), run)
    rates = [epoch["learning_rate"] for epoch in run.history]
    assert rates[0] == 0.05
    assert 0 < rates[-1] <= 0.0051


@pytest.mark.parametrize(("rows", "size"), [(1, 8), (8, 8), (9, 8), (1_000, 64)])
def test_every_row_is_in_one_batch_and_none_is_much_smaller(rows: int, size: int) -> None:
    found = batches.shuffled(rows, size, torch.Generator().manual_seed(1))
    assert torch.cat(found).sort().values.tolist() == list(range(rows))
    assert max(map(len, found)) <= size
    assert max(map(len, found)) - min(map(len, found)) <= 1


def _lengths(rows: int, median: float, spread: float, most: int) -> Tensor:
    """Log-normal, as those of sentences and reviews are, cut where a model cuts them."""
    made = torch.Generator().manual_seed(rows)
    drawn = median * torch.exp(spread * torch.randn(rows, generator=made))
    return drawn.round().clamp(3, most).long()


@pytest.mark.parametrize(
    ("rows", "median", "spread", "most"), [(25_000, 220, 0.6, 512), (6_000, 22, 0.5, 128), (2_000, 60, 0.8, 256)]
)
def test_bucketed_batches_compute_little_padding(rows: int, median: float, spread: float, most: int) -> None:
    lengths = _lengths(rows, median, spread, most)
    found = batches.bucketed(lengths, 32, torch.Generator().manual_seed(1))
    assert torch.cat(found).sort().values.tolist() == list(range(rows))
    computed = sum(len(batch) * int(lengths[batch].max()) for batch in found)
    assert computed / int(lengths.sum()) <= 1.05
    plain = sum(len(b) * int(lengths[b].max()) for b in batches.shuffled(rows, 32, torch.Generator().manual_seed(1)))
    assert computed < 0.8 * plain


def test_bucketed_batches_are_the_same_again_and_others_in_another_epoch() -> None:
    lengths = _lengths(6_000, 22, 0.5, 128)
    one, same, other = (batches.bucketed(lengths, 32, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    pairs = [{frozenset(pair) for b in found for pair in pairwise(b.tolist())} for found in (one, other)]
    assert len(pairs[0] & pairs[1]) < 0.05 * len(pairs[0]), "neighbours change"
    means = torch.tensor([float(lengths[batch].double().mean()) for batch in one])
    order = torch.corrcoef(torch.stack([means, torch.arange(len(means))]))[0, 1]
    assert abs(float(order)) < 0.2, "long batches come neither first nor last"


def test_by_length_is_every_row_the_shortest_first() -> None:
    lengths = _lengths(100, 22, 0.5, 128)
    found = torch.cat(batches.by_length(lengths, 32))
    assert lengths[found].tolist() == sorted(lengths.tolist())
    assert found.sort().values.tolist() == list(range(100))


def test_a_loop_takes_lengths(tmp_path: Path) -> None:
    toy = Toy()
    lengths = _lengths(toy.rows, 22, 0.5, 128)
    assert toy.train(LOOP, run_of(tmp_path), lengths=lengths).best_loss < 0.8


def test_class_weights_weigh_rows_not_batches() -> None:
    """So the mean of two halves is the loss of the whole, which accumulation and several processes count on."""
    made = torch.Generator().manual_seed(1)
    raw, target = torch.randn(8, 3, generator=made), torch.tensor([0, 0, 0, 0, 1, 2, 1, 2])
    objective = Classes(3, torch.tensor([0.5, 1.0, 3.0]))
    halves = [float(objective.loss(raw[part], target[part])) for part in (slice(4), slice(4, 8))]
    whole = float(objective.loss(raw, target))
    assert whole == pytest.approx(sum(halves) / 2)
    log_loss = nn.functional.cross_entropy(raw, target, reduction="none")
    assert whole == pytest.approx(float((log_loss * torch.tensor([0.5, 1.0, 3.0])[target]).mean()))
