"""The recorded events of `events/serve`, as `sam local invoke` sends them, reach an answer."""

import json
from pathlib import Path

import pytest

from tests.functions.serve.predicting import Predict
from tests.unit.serve.kit import publish, text_package

EVENTS = Path(__file__).parents[3] / "events" / "serve"


@pytest.mark.parametrize(
    ("name", "status"),
    [("predict", 200), ("predict-version", 200), ("predict-bad", 400), ("infer", 200), ("infer-ready", 200)],
)
def test_a_recorded_event_is_answered(predict: Predict, name: str, status: int) -> None:
    publish("reviews", text_package(column="text"), tenant="default")
    assert predict.send(json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8")))[0] == status
