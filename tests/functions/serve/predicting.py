"""predict, loaded as Lambda loads it, and driven with events in process."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.unit.serve.kit import event, publish, tabular_package, text_package

ROOT = Path(__file__).parents[3]


def load_function() -> ModuleType:
    spec = importlib.util.spec_from_file_location("predict_handler", ROOT / "functions/serve/predict/handler.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Predict:
    """A warm function and the lines that it wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.module = load_function()
        self._capsys = capsys
        self.lines: list[dict[str, Any]] = []
        self.reply: dict[str, Any] = {}

    def __call__(self, path: str, body: object = None, **options: Any) -> tuple[int, Any]:
        return self.send(event(path, body, **options))

    def send(self, request: dict[str, Any]) -> tuple[int, Any]:
        self._capsys.readouterr()
        self.reply = self.module.handler(request, None)
        self.lines = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        return self.reply["statusCode"], json.loads(self.reply["body"])

    @property
    def metrics(self) -> dict[str, Any]:
        (line,) = (line for line in self.lines if "_aws" in line)
        return line


@pytest.fixture
def predict(cloud: None, capsys: pytest.CaptureFixture[str]) -> Predict:  # noqa: ARG001 - the cloud must stand
    """predict over a model of texts (`reviews`) and one of rows (`people`), both routed."""
    publish("reviews", text_package())
    publish("people", tabular_package())
    return Predict(capsys)
