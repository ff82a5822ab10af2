"""Families of sounds: spectrograms that are right, what is learnt of them, and that ONNX says the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from modelmill.core.model.task import Task
from modelmill.training.families import family_of
from modelmill.training.families.audio import preprocess_of
from modelmill.training.nets.spectrogram import AudioNet, LogMel
from tests.unit.model.media import RATE, chirps, equal_in_onnx, rows_of, run_of, wav
from tests.unit.model.world import Cloud

SMALL: dict[str, Any] = {"width": 4, "bands": 24, "epochs": 8, "learning_rate": 0.02}
CLASSES: Task = "audio-classification"


def test_a_spectrogram_is_that_of_the_fourier_transform() -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, 2_000).astype(np.float32)
    mel = LogMel(rate=8_000, window=256, hop=80, bands=20)
    found = mel(torch.from_numpy(sound)[None])[0, 0].numpy()
    window = np.hanning(257)[:-1]
    frames = np.stack([sound[start : start + 256] for start in range(0, 2_000 - 255, 80)]) * window / window.sum()
    power = np.abs(np.fft.rfft(frames)) ** 2
    assert found.shape == (20, len(frames))
    assert np.abs(found - np.log(power @ mel.triangles.numpy().T + 1e-8).T).max() < 1e-3


@pytest.mark.parametrize("hertz", [200, 500, 1_000, 3_000])
def test_a_tone_is_loudest_in_its_band(hertz: float) -> None:
    mel = LogMel(rate=8_000, window=256, hop=80, bands=40)
    tone = torch.sin(2 * torch.pi * hertz * torch.arange(4_000) / 8_000)
    loudest = int(mel(tone[None]).mean(dim=3).argmax())
    weights = mel.triangles[loudest].numpy()
    centre = (weights * np.arange(len(weights))).sum() / weights.sum() * 8_000 / 256
    assert abs(centre - hertz) < max(60, 0.08 * hertz)


def test_sounds_are_learnt_and_onnx_says_the_same(tmp_path: Path) -> None:
    (files, labels), (others, truth) = chirps(240, 1), chirps(100, 2)
    train, validation = rows_of(labels, clip=files), rows_of(truth, clip=others)
    run = run_of(train, CLASSES, tmp_path, "log-mel-cnn", SMALL)
    family = family_of(run.candidate)
    fitted = family.fit(train, validation, run)
    assert (fitted.raw.argmax(1).numpy() == truth).mean() > 0.95
    found = equal_in_onnx(fitted.net, fitted.preprocess, validation, run)
    assert np.abs(found - torch.softmax(fitted.raw, 1).numpy()).max() < 1e-4
    again = family.refit(train + validation, [fitted.settings], run.part("all rows", 0, 1))
    assert again is not None
    edges = rows_of(
        np.zeros(6, dtype=np.int64),
        clip=[
            wav(np.zeros(100)),
            wav(np.ones(RATE)),
            wav(np.sign(np.sin(np.arange(RATE)))),
            wav(np.zeros(1)),
            None,
            wav(np.full(RATE, 1e-5)),
        ],
    )
    assert np.isfinite(equal_in_onnx(again[1], again[0], edges, run)).all()


def test_two_sounds_a_row_and_a_measure_are_learnt(tmp_path: Path) -> None:
    loud = np.random.default_rng(1).uniform(0.01, 0.9, (160, 2))
    noise = np.random.default_rng(2).normal(0, 0.2, 2_000)
    first, second = ([wav(noise * level) for level in column] for column in loud.T)
    rows = rows_of(np.log(loud[:, 0]) + np.log(loud[:, 1]), first=first, second=second)
    train, validation = rows.take(np.arange(120)), rows.take(np.arange(120, 160))
    run = run_of(train, "audio-regression", tmp_path, "log-mel-cnn", SMALL)
    fitted = family_of(run.candidate).fit(train, validation, run)
    assert run.objective.scores(fitted.raw, run.objective.target(validation))["r2"] > 0.8
    assert isinstance(fitted.net, AudioNet)
    assert fitted.net.columns == 2
    equal_in_onnx(fitted.net, fitted.preprocess, validation, run)


@pytest.mark.parametrize(
    ("sounds", "rate", "seconds"),
    [
        ([(8_000, 1.0)] * 20, 8_000, 1.0),
        ([(44_100, 1.0)] * 20, 16_000, 1.0),
        ([(8_000, 0.01)] * 3, 8_000, 0.25),
        ([(8_000, 20.0)] * 2, 8_000, 10.0),
        ([(8_000, 0.5)] * 99 + [(16_000, 5.0)], 8_000, 0.5),
    ],
)
def test_rate_and_length_are_those_of_most_sounds(
    sounds: list[tuple[int, float]], rate: int, seconds: float, tmp_path: Path
) -> None:
    files = [wav(np.zeros(int(length * each)), each) for each, length in sounds]
    rows = rows_of(np.arange(len(files)) % 2, clip=files)
    found = preprocess_of(rows, run_of(rows, CLASSES, tmp_path, "log-mel-cnn", {}), 16_000, 10.0)
    assert (found["rate"], found["samples"]) == (rate, round(seconds * rate))


def test_jobs_make_a_package_of_sounds(cloud: Cloud) -> None:
    splits = {}
    for split, (count, seed) in {"train": (160, 1), "validation": (80, 2), "test": (60, 3)}.items():
        files, labels = chirps(count, seed)
        splits[split] = {"clip": files, "label": [["down", "up"][label] for label in labels]}
    candidate = {"family": "log-mel-cnn", "name": "tiny", "hyperparameters": SMALL}
    cloud.put_run("r1", CLASSES, {"clip": "audio"}, splits, candidates=[candidate])
    assert cloud.job("train", "r1", "tiny") == 0
    assert cloud.job("package", "r1", "tiny") == 0
    assert cloud.json("default/runs/r1/package.json")["metrics"]["accuracy"]["value"] > 0.9
