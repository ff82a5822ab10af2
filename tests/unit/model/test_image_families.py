"""Families of images: what they learn, that ONNX says the same, and what they refuse."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from modelmill.aws import objects
from modelmill.core.errors import Rejected
from modelmill.core.model.package import FILES
from modelmill.core.model.task import Task
from modelmill.serving import instances
from modelmill.serving import model as serving
from modelmill.training.augment import later, mirrored, moved, without_bands, without_square
from modelmill.training.families import family_of
from modelmill.training.families.image import preprocess_of
from modelmill.training.nets.convolutional import ImageNet, shape_for
from modelmill.training.nets.resnet import ResNetBody, shape_of
from tests.unit.model.media import arrows, equal_in_onnx, png, rings, rows_of, run_of
from tests.unit.model.world import Cloud

SMALL: dict[str, Any] = {"width": 4, "epochs": 8, "learning_rate": 0.02}
CLASSES: Task = "image-classification"


@pytest.mark.parametrize(("made", "mirrors"), [(arrows, False), (rings, True)])
def test_images_are_mirrored_where_that_changes_no_class(made: Any, mirrors: bool, tmp_path: Path) -> None:
    (files, labels), (others, truth) = made(240, 1), made(120, 2)
    train, validation = rows_of(labels, file=files), rows_of(truth, file=others)
    run = run_of(train, CLASSES, tmp_path, "cnn", SMALL)
    family = family_of(run.candidate)
    fitted = family.fit(train, validation, run)
    assert fitted.settings["mirrors"] is mirrors
    assert (fitted.raw.argmax(1).numpy() == truth).mean() > 0.95
    assert fitted.preprocess | {"inputs": []} == {
        "kind": "image",
        "inputs": [],
        "height": 12,
        "width": 12,
        "channels": 1,
    }
    found = equal_in_onnx(fitted.net, fitted.preprocess, validation, run)
    assert np.abs(found - torch.softmax(fitted.raw, 1).numpy()).max() < 1e-4
    again = family.refit(train + validation, [fitted.settings], run.part("all rows", 0, 1))
    assert again is not None
    assert (equal_in_onnx(again[1], again[0], validation, run).argmax(1) == truth).mean() > 0.95


def test_two_images_a_row_and_a_measure_are_learnt(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    levels = chance.uniform(0, 1, (200, 2))
    files = [[png(np.full((8, 8, 3), [200 * level, 50, 50])) for level in column] for column in levels.T]
    rows = rows_of(levels[:, 0] - levels[:, 1], left=files[0], right=[None, *files[1][1:]])
    train, validation = rows.take(np.arange(150)), rows.take(np.arange(150, 200))
    run = run_of(train, "image-regression", tmp_path, "cnn", SMALL | {"epochs": 16})
    fitted = family_of(run.candidate).fit(train, validation, run)
    assert run.objective.scores(fitted.raw, run.objective.target(validation))["r2"] > 0.8
    equal_in_onnx(fitted.net, fitted.preprocess, validation, run)


def test_tags_are_learnt(tmp_path: Path) -> None:
    chance = np.random.default_rng(2)
    tags = chance.integers(0, 2, (200, 2)).astype(np.float32)
    files = [png(np.tile(np.array([[200 * first, 0, 200 * second]]), (8, 8, 1))) for first, second in tags]
    rows = rows_of(tags, file=files)
    train, validation = rows.take(np.arange(150)), rows.take(np.arange(150, 200))
    run = run_of(train, "image-multilabel", tmp_path, "cnn", SMALL)
    fitted = family_of(run.candidate).fit(train, validation, run)
    assert run.objective.scores(fitted.raw, run.objective.target(validation))["micro_f1"] > 0.95
    equal_in_onnx(fitted.net, fitted.preprocess, validation, run)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(32, 32)] * 3, (32, 32)),
        ([(28, 20)] * 3, (28, 20)),
        ([(1, 1)] * 3, (8, 8)),
        ([(300, 400)] * 3, (56, 72)),
        ([(300, 400), (30, 40), (60, 80)], (56, 72)),
        ([(10, 1_000)] * 2, (32, 128)),
        ([(16, 16), (24, 24), (24, 24)], (24, 24)),
    ],
)
def test_the_size_is_that_of_the_images_or_their_middle(
    sizes: list[tuple[int, int]], expected: tuple[int, int], tmp_path: Path
) -> None:
    rows = rows_of(np.arange(len(sizes)), file=[png(np.zeros(size)) for size in sizes])
    found = preprocess_of(rows, run_of(rows, CLASSES, tmp_path, "cnn", {}), 64)
    assert (found["height"], found["width"]) == expected


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 64), (28, 20), (65, 97), (128, 128)])
@pytest.mark.parametrize("mirrors", [False, True])
def test_a_net_of_any_size_is_the_same_in_onnx(height: int, width: int, mirrors: bool, tmp_path: Path) -> None:
    torch.manual_seed(1)
    body = {"channels": 3, "width": 4, **shape_for(height, width)}
    net = ImageNet(columns=1, height=height, across=width, body=body, outputs=3, mirrors=mirrors)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    net.mean.fill_(120)
    net.inverse_spread.fill_(0.02)
    noise = np.random.default_rng(1).integers(0, 256, (4, height, width, 3))
    rows = rows_of(np.arange(4) % 3, file=[png(image) for image in noise])
    preprocess = {"kind": "image", "inputs": ["file"], "height": height, "width": width, "channels": 3}
    found = equal_in_onnx(net, preprocess, rows, run_of(rows, CLASSES, tmp_path, "cnn", {}))
    assert np.ptp(found, axis=0).max() > 1e-4


def test_augmented_pictures_hold_what_they_held() -> None:
    torch.manual_seed(3)
    pictures = torch.arange(64 * 8 * 8, dtype=torch.float32).view(64, 1, 8, 8) + 1
    shifted = moved(pictures, 2, 2)
    assert shifted.shape == pictures.shape
    assert {
        tuple(sorted({int(p) for p in (new - old).flatten()})) for new, old in zip(shifted, pictures, strict=True)
    } != {(0,)}
    for new, old in zip(shifted, pictures, strict=True):
        assert set(new.flatten().tolist()) <= set(old.flatten().tolist())
    turned = mirrored(pictures)
    same = (turned == pictures).flatten(1).all(1)
    assert 16 < int(same.sum()) < 48
    assert torch.equal(turned[~same], pictures[~same].flip(3))
    for fewer, most in ((without_square(pictures, 4, 4), 16), (without_bands(pictures, 2, 3), 16 + 24)):
        gone = (fewer == 0).flatten(1).sum(1)
        assert torch.equal(fewer[fewer != 0], pictures[fewer != 0])
        assert 0 < int(gone.max()) <= most
    assert torch.equal(later(pictures, 0), pictures)


@pytest.mark.parametrize(
    ("blocks", "bottleneck", "parameters"),
    [([2, 2, 2, 2], False, 11_176_512), ([3, 4, 6, 3], False, 21_284_672), ([3, 4, 6, 3], True, 23_508_032)],
)
def test_the_published_nets_have_as_many_parameters(blocks: list[int], bottleneck: bool, parameters: int) -> None:
    with torch.device("meta"):
        body = ResNetBody(channels=3, width=64, blocks=blocks, bottleneck=bottleneck)
    assert sum(parameter.numel() for parameter in body.parameters()) == parameters
    assert shape_of(body.state_dict()) == {"channels": 3, "width": 64, "blocks": blocks, "bottleneck": bottleneck}


def _weights(folder: Path, blocks: list[int], *, bottleneck: bool, **more: torch.Tensor) -> ResNetBody:
    torch.manual_seed(5)
    body = ResNetBody(channels=3, width=8, blocks=blocks, bottleneck=bottleneck).eval()
    tensors = {name: tensor for name, tensor in body.state_dict().items() if not name.endswith("tracked")}
    save_file(
        {"fc.weight": torch.zeros(10, body.features), "fc.bias": torch.zeros(10), **tensors, **more},
        folder / "model.safetensors",
    )
    return body


@pytest.mark.parametrize(("blocks", "bottleneck"), [([2, 2, 2, 2], False), ([1, 2, 1, 1], True)])
def test_a_pretrained_net_keeps_its_features_and_gets_a_head(
    blocks: list[int], bottleneck: bool, tmp_path: Path
) -> None:
    body = _weights(tmp_path, blocks, bottleneck=bottleneck)
    (files, labels), (others, truth) = rings(160, 1), rings(60, 2)
    train, validation = rows_of(labels, file=files), rows_of(truth, file=others)
    run = run_of(train, CLASSES, tmp_path, "backbone", {"side": 32}, tmp_path)
    family = family_of(run.candidate)
    fitted = family.fit(train, validation, run)
    net = fitted.net
    assert isinstance(net, ImageNet)
    for name, tensor in body.state_dict().items():
        assert torch.equal(tensor, net.body.state_dict()[name])
    assert (fitted.raw.argmax(1).numpy() == truth).mean() > 0.7
    found = equal_in_onnx(net, fitted.preprocess, validation, run)
    assert np.abs(found - torch.softmax(fitted.raw, 1).numpy()).max() < 1e-4
    again = family.refit(train + validation, [fitted.settings], run.part("all rows", 0, 1))
    assert again is not None
    assert not torch.equal(again[1].state_dict()["leave.weight"], net.leave.weight)


def test_a_pretrained_net_is_tuned(tmp_path: Path) -> None:
    body = _weights(tmp_path, [1, 1, 1, 1], bottleneck=False)
    (files, labels), (others, truth) = rings(160, 1), rings(60, 2)
    train, validation = rows_of(labels, file=files), rows_of(truth, file=others)
    run = run_of(train, CLASSES, tmp_path, "backbone", {"side": 32, "tune": 6, "learning_rate": 5e-3}, tmp_path)
    family = family_of(run.candidate)
    fitted = family.fit(train, validation, run)
    assert not torch.equal(fitted.net.state_dict()["body.conv1.weight"], body.conv1.weight)
    assert (fitted.raw.argmax(1).numpy() == truth).mean() > 0.85
    assert family.refit(train, [fitted.settings], run) is None


def test_weights_that_are_no_resnet_are_refused(tmp_path: Path) -> None:
    files, labels = rings(40, 1)
    rows = rows_of(labels, file=files)

    def refusal(weights: Path | None) -> str:
        run = run_of(rows, CLASSES, tmp_path, "backbone", {"side": 32}, weights)
        with pytest.raises(Rejected) as error:
            family_of(run.candidate).fit(rows, rows, run)
        return error.value.code

    assert refusal(None) == "no_weights"
    assert refusal(tmp_path) == "bad_weights"
    (tmp_path / "model.safetensors").write_bytes(b"not tensors")
    assert refusal(tmp_path) == "bad_weights"
    save_file({"conv1.weight": torch.zeros(8, 3, 3, 3)}, tmp_path / "model.safetensors")
    assert refusal(tmp_path) == "bad_weights"
    _weights(tmp_path, [1, 1, 1, 1], bottleneck=False, **{"layer1.0.conv2.weight": torch.zeros(8, 8, 5, 5)})
    assert refusal(tmp_path) == "bad_weights"


def test_jobs_make_the_same_package_of_images_twice_and_it_is_served(cloud: Cloud, tmp_path: Path) -> None:
    splits = {}
    for split, (count, seed) in {"train": (160, 1), "validation": (80, 2), "test": (60, 3)}.items():
        files, labels = arrows(count, seed, colour=True)
        splits[split] = {"picture": files, "label": [["left", "right"][label] for label in labels]}
    candidate = {"family": "cnn", "name": "tiny", "hyperparameters": SMALL}
    digests = set()
    for run_id in ("r1", "r2"):
        cloud.put_run(run_id, CLASSES, {"picture": "image"}, splits, candidates=[candidate])
        assert cloud.job("train", run_id, "tiny") == 0
        assert cloud.job("package", run_id, "tiny") == 0
        outcome = cloud.json(f"default/runs/{run_id}/package.json")
        assert outcome["metrics"]["accuracy"]["value"] > 0.9
        digests.add(outcome["digest"])
    assert len(digests) == 1
    served = _served(digests.pop(), tmp_path)
    rows = [{"image": b64encode(file).decode()} for file in splits["test"]["picture"]]
    scores = served.scores(instances.columns_of(rows, served.fields, is_text=served.is_text))
    right = [
        row["label"] == label
        for row, label in zip(served.answers.predictions(scores), splits["test"]["label"], strict=True)
    ]
    assert np.mean(right) == pytest.approx(outcome["metrics"]["accuracy"]["value"], abs=1e-6)


def _served(digest: str, folder: Path) -> serving.Model:
    for name in FILES:
        (folder / name).write_bytes(objects.get("models", f"default/packages/{digest}/{name}"))
    return serving.Model(folder)
