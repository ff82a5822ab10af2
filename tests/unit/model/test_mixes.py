"""A mix of candidates as the package job makes it: measured, converted, rounded, reported and served like any other."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelmill.aws import objects
from modelmill.core.model.package import FILES
from modelmill.serving.model import Model
from modelmill.training import packaging
from modelmill.training.ensemble import Mix
from tests.unit.model.samples import MEASURED_INPUTS, MEASURED_SPLITS
from tests.unit.model.world import Cloud


def test_a_mix_becomes_a_package_that_is_served(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe: dict[str, Any] = {"selection": {"method": "hold-out"}, "candidates": ["linear", "boosting"]}
    cloud.put_run("r1", "tabular-classification", MEASURED_INPUTS, MEASURED_SPLITS, **recipe)
    assert [cloud.job("train", "r1", name) for name in ("linear", "boosting")] == [0, 0]
    mix = Mix(("boosting", "linear"), (0.6, 0.4), {"why": "a mix is better"})
    monkeypatch.setattr(packaging, "best", lambda *_: mix)
    assert cloud.job("package", "r1", "boosting") == 0
    outcome = cloud.json("default/runs/r1/package.json")
    assert (outcome["candidate"], outcome["selection"]["why"]) == ("ensemble", "a mix is better")
    assert b"ensemble" in objects.get("models", "default/runs/r1/report.html")
    for name in FILES:
        (tmp_path / name).write_bytes(objects.get("models", f"default/packages/{outcome['digest']}/{name}"))
    test = MEASURED_SPLITS["test"]
    scores = Model(tmp_path).scores({name: test[name] for name in MEASURED_INPUTS})
    labels = json.loads((tmp_path / "labels.json").read_bytes())
    right = np.mean([labels[best] == truth for best, truth in zip(scores.argmax(1), test["label"], strict=True)])
    assert right == pytest.approx(outcome["metrics"]["accuracy"]["value"], abs=1e-6)
    assert right > 0.8
