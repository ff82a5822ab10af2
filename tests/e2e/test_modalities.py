"""Every kind of data that a model reads, and of answer, from an upload to an endpoint: one small run each."""

import base64
import csv
import io
import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.e2e.samples import BAD, GOOD, PLAIN, to_csv
from tests.e2e.steps import Steps
from tests.unit.data.media_files import encoded, sound

FAST = b"preset: fast\nselection: {method: hold-out}\n"
FEW_EPOCHS = "candidates: [{{family: {}, hyperparameters: {{epochs: 20}}}}]\n"
TOPICS = {
    "food": ["soup", "bread", "rice", "面条"],
    "sport": ["goal", "team", "match", "比赛"],
    "music": ["song", "band"],
}


def shape(kind: str, seed: int) -> bytes:
    """A PNG of 16 x 16 with a bright bar that lies or stands."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 60, (16, 16, 3)).astype(np.uint8)
    place = int(rng.integers(2, 12))
    levels[(slice(place, place + 3), slice(None)) if kind == "lying" else (slice(None), slice(place, place + 3))] += 180
    return encoded(Image.fromarray(levels), "PNG")


def note(kind: str, seed: int) -> bytes:
    """A third of a second of WAV, high or low, at some loudness."""
    rng = np.random.default_rng(seed)
    times = np.arange(2_400) / 8_000
    pitch = rng.uniform(1_500, 2_500) if kind == "high" else rng.uniform(200, 500)
    return sound(rng.uniform(0.2, 0.8) * np.sin(2 * np.pi * pitch * times) + 0.01 * rng.standard_normal(2_400))


def folders(make: Callable[[str, int], bytes], kinds: tuple[str, str], ending: str, rows: int = 160) -> bytes:
    """A zip of class folders."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for row in range(rows):
            archive.writestr(f"things/{kinds[row % 2]}/{row}.{ending}", make(kinds[row % 2], row))
    return target.getvalue()


def mixed(rows: int = 400) -> bytes:
    """A text and two columns that tell the mood only together."""
    dice = random.Random(4)
    table = []
    for _ in range(rows):
        good, price = dice.random() < 0.5, round(dice.uniform(1, 99), 2)
        words = dice.choices(GOOD if good else BAD, k=2) + dice.choices(PLAIN, k=9)
        dice.shuffle(words)
        table.append([" ".join(words), price, dice.choice(["red", "blue"]), "yes" if good and price < 70 else "no"])
    return to_csv(["review", "price", "colour", "bought"], table)


def houses(rows: int = 400) -> bytes:
    """Prices in a currency that follow from size and place."""
    dice = random.Random(5)
    table = []
    for _ in range(rows):
        size, place = round(dice.uniform(30, 200), 1), dice.choice(["north", "south"])
        table.append([size, place, round(size * 3_000 + 90_000 * (place == "south") + dice.gauss(0, 9_000), 2)])
    return to_csv(["size", "place", "price"], table)


def tagged(rows: int = 300) -> bytes:
    """Texts of one to three topics."""
    dice = random.Random(6)
    text = io.StringIO()
    out = csv.writer(text)
    out.writerow(["text", "tags"])
    for row in range(rows):
        tags = dice.sample(sorted(TOPICS), dice.randint(1, 3))
        words = [dice.choice(TOPICS[tag]) for tag in tags for _ in range(2)] + dice.choices(PLAIN, k=6)
        out.writerow([" ".join([*words, str(row)]), "; ".join(tags)])
    return text.getvalue().encode()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_images_in_folders_become_an_endpoint(steps: Steps) -> None:
    run = steps.run(
        "shapes", folders(shape, ("lying", "standing"), "png"), "shapes.zip", FEW_EPOCHS.format("cnn").encode()
    )
    assert (run["status"], run["task"]) == ("SUCCEEDED", "image-classification"), run["reason"]
    answer = steps.predict("shapes", *({"image": base64_of(shape(kind, 900))} for kind in ("lying", "standing")))
    assert [row["label"] for row in answer["predictions"]] == ["lying", "standing"]
    refused = steps.post("/v1/models/shapes/predict", {"instances": [{"image": base64_of(b"no picture")}]})
    assert refused.status_code == 400
    assert "image" in refused.json()["error"]["message"]


def test_a_picture_is_asked_about_from_the_command_line(steps: Steps, tmp_path: Path) -> None:
    file = tmp_path / "one.png"
    file.write_bytes(shape("standing", 901))
    environment = {**os.environ, "MODELMILL_URL": steps.url, "MODELMILL_TOKEN": steps.token}
    command = [sys.executable, "-c", "from modelmill.client.cli import main; main()"]
    done = subprocess.run(
        [*command, "predict", "shapes", "--file", str(file), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["predictions"][0]["label"] == "standing"


def test_sounds_in_folders_become_an_endpoint(steps: Steps) -> None:
    run = steps.run(
        "notes", folders(note, ("high", "low"), "wav"), "notes.zip", FEW_EPOCHS.format("log-mel-cnn").encode()
    )
    assert (run["status"], run["task"]) == ("SUCCEEDED", "audio-classification"), run["reason"]
    answer = steps.predict("notes", *({"audio": base64_of(note(kind, 900))} for kind in ("high", "low")))
    assert [row["label"] for row in answer["predictions"]] == ["high", "low"]


def test_texts_with_columns_become_one_model(steps: Steps) -> None:
    run = steps.run("offers", mixed(), "offers.csv", FAST)
    assert (run["status"], run["task"]) == ("SUCCEEDED", "mixed-classification"), run["reason"]
    good = "the room was lovely and perfect"
    answer = steps.predict("offers", {"review": good, "price": 5.0}, {"review": good, "price": 95.0}, {"price": 50.0})
    assert [row["label"] for row in answer["predictions"]][:2] == ["yes", "no"]


def test_a_measure_is_predicted_in_its_unit_with_a_report(steps: Steps) -> None:
    run = steps.run("houses", houses(), "houses.csv")
    assert (run["status"], run["task"]) == ("SUCCEEDED", "tabular-regression"), run["reason"]
    (row,) = steps.predict("houses", {"size": 100, "place": "south"})["predictions"]
    assert row["value"] == pytest.approx(390_000, rel=0.1)
    version = steps.get(f"/v1/models/houses/versions/{run['model']['version']}").json()
    assert version["metrics"]["r2"]["value"] > 0.9
    page = httpx.get(version["links"]["report"], timeout=30)
    assert page.status_code == 200
    assert "houses" in page.text


def test_lists_of_tags_are_predicted_as_lists(steps: Steps) -> None:
    run = steps.run("stories", tagged(), "stories.csv", FAST)
    assert (run["status"], run["task"]) == ("SUCCEEDED", "text-multilabel"), run["reason"]
    answer: dict[str, Any] = steps.predict("stories", {"text": "soup bread rice goal team match"})
    assert answer["predictions"][0]["labels"] == ["food", "sport"]
