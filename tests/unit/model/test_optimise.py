"""The gate of smaller forms: the smallest that is as good is served; the others are listed with their numbers."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Optimise, Recipe
from modelmill.core.model.spec import RunSpec
from modelmill.serving.features import Features
from modelmill.training.convert import run, session_of
from modelmill.training.nets import Model
from modelmill.training.nets.base import Net
from modelmill.training.objective import Calibration, Classes, Measure, Objective
from modelmill.training.optimise import Form, optimise, quantise
from modelmill.training.rows import Rows
from tests.unit.model.samples import rows_of

if TYPE_CHECKING:
    from modelmill.training.graph import Graph


class Bag(Net):
    """The sum of rows of a table, and a linear layer over it or none: the smallest net with a vocabulary."""

    kind = "bag-of-tests"

    def __init__(self, table: Tensor, head: nn.Linear | None = None) -> None:
        super().__init__()
        self.table, self.head = nn.Parameter(table), head

    def forward(self, ids: Tensor, counts: Tensor) -> Tensor:
        pooled = (self.table[ids] * counts[:, :, None]).sum(dim=1)
        return pooled if self.head is None else self.head(pooled)

    def export(self, graph: "Graph") -> str:
        ids, counts = graph.input("ids", "INT64", "length"), graph.input("counts", "FLOAT", "length")
        rows = graph.op("Gather", [graph.constant(self.table, "table"), ids])
        weighed = graph.op("Mul", [rows, graph.op("Unsqueeze", [counts, graph.constant([2])])])
        pooled = graph.op("ReduceSum", [weighed, graph.constant([1])], keepdims=0)
        return pooled if self.head is None else graph.linear(self.head, pooled)

    def pruned(self, share: float, preprocess: dict[str, Any]) -> tuple[Self, dict[str, Any]] | None:
        words = preprocess["vocabulary"][: int(len(preprocess["vocabulary"]) * share)]
        if self.head is not None or len(words) < 2:
            return None
        return type(self)(self.table[: len(words) + 1].detach().clone()), {**preprocess, "vocabulary": words}


def _asking(**rule: Any) -> RunSpec:
    """A run whose recipe asks for this optimisation."""
    return RunSpec(
        run_id="r", tenant="t", dataset="d", dataset_version="v", data_prefix="p/", model="m",
        task="text-classification", target="label", inputs=[], labels=["a", "b"], candidates=[],
        recipe=Recipe(optimise=Optimise(**rule)),
    )  # fmt: skip


def _words(count: int) -> dict[str, Any]:
    return {"kind": "text", "inputs": ["t"], "ngrams": [1, 1], "vocabulary": [f"w{index}" for index in range(count)]}


def _deciding(words: int, spread: float = 0.0) -> tuple[Net, dict[str, Any], Rows]:
    """A net whose answer is decided by two words among many; `spread` is one huge weight of another."""
    table = torch.zeros(words + 1, 2)
    table[1], table[2] = torch.tensor([1.0, -1.0]), torch.tensor([-1.0, 1.0])
    table[9] = spread
    rows = rows_of({"t": ["w0 w5", "w1 w6"] * 20}, np.array([0, 1] * 20, dtype=np.int64))
    return Bag(table), _words(words), rows


def _optimised(
    net: Net, preprocess: dict[str, Any], rows: Rows, objective: Objective | None = None, **rule: Any
) -> tuple[Form, dict[str, Any], bytes]:
    model = Model(net, objective or Classes(2), Calibration())
    converted = model.onnx()
    return *optimise(model, converted, preprocess, rows, _asking(**rule)), converted


def test_the_smallest_form_that_is_as_good_is_served_and_all_are_listed() -> None:
    net, preprocess, rows = _deciding(20_000)
    form, report, converted = _optimised(net, preprocess, rows)
    assert form.name == report["chosen"] == "pruned-0.25-int8-tables"
    assert {"float32", "float16", "int8-tables", "pruned-0.5", "pruned-0.25", "pruned-0.5-float16"} <= report.keys()
    assert report[form.name]["total_bytes"] == min(each["total_bytes"] for each in report.values() if _is_form(each))
    assert len(form.model) < len(converted) / 12
    right = run(session_of(form.model), Features(form.preprocess).arrays(rows.part(0, 2))).argmax(axis=1)
    assert right.tolist() == [0, 1]


def _is_form(value: object) -> bool:
    return isinstance(value, dict)


def test_without_pruning_the_vocabulary_stays() -> None:
    form, report, converted = _optimised(*_deciding(20_000), prune=False)
    assert (form.name, len(form.preprocess["vocabulary"])) == ("int8-tables", 20_000)
    assert len(form.model) < len(converted) / 3
    assert "times smaller" in report["why"]


def test_a_tiny_model_stays_as_it_is() -> None:
    form, report, converted = _optimised(*_deciding(10), prune=False)
    assert (form.model, report["chosen"]) == (converted, "float32")
    assert "nothing to make smaller" in report["why"]


def test_what_loses_accuracy_is_refused_with_its_numbers() -> None:
    form, report, _ = _optimised(*_deciding(20_000, spread=1e4), prune=False, float16=False, max_loss=0.01)
    assert form.name == "float32"
    assert "accuracy" in report["int8-tables"]["refused"]
    assert report["int8-tables"]["score"] < report["float32"]["score"]


def _wide(outputs: int, rows: int = 64) -> tuple[Net, dict[str, Any], Rows]:
    torch.manual_seed(3)
    net = Bag(torch.randn(20_001, 32), nn.Linear(32, outputs))
    with torch.no_grad():
        assert net.head is not None
        net.head.weight.copy_(torch.randn(outputs, 32))
    texts = [" ".join(f"w{(row * 37 + step * 101) % 20_000}" for step in range(1 + row % 9)) for row in range(rows)]
    return net, _words(20_000), rows_of({"t": texts}, np.zeros(rows, dtype=np.int64))


def test_answers_that_depend_on_neighbouring_rows_are_refused() -> None:
    _, report, _ = _optimised(*_wide(64), Classes(64), max_loss=1, float16=False, static_int8=False)
    assert "other rows" in report["int8"]["refused"]
    assert report["int8"]["neighbours"] > 1e-4 > report["int8-tables"]["neighbours"]
    assert report["chosen"] == "int8-tables"


def test_static_int8_fixes_its_scales_and_lets_no_row_touch_another() -> None:
    _, report, _ = _optimised(*_wide(64), Classes(64), max_loss=1, float16=False, int8=False)
    assert report["int8-static"]["neighbours"] < 1e-4


def test_a_measure_is_judged_by_what_it_explains() -> None:
    net, preprocess, rows = _wide(1)
    features, model = Features(preprocess), Model(net, Measure(0.0, 1.0), Calibration())
    truth = model.answers(features.arrays(rows.part(0, len(rows))))[:, 0].double().numpy()
    form, report, _ = _optimised(net, preprocess, Rows(rows.columns, truth), Measure(0.0, 1.0))
    assert report["float32"]["measure"] == "r2"
    assert report["float32"]["score"] == pytest.approx(1)
    assert report[form.name]["score"] > 0.998


def test_what_is_demanded_and_cannot_be_fails_with_the_numbers() -> None:
    with pytest.raises(Rejected, match=r"pruned-0.25.*MB, more than 0.001") as refusal:
        _optimised(*_deciding(20_000), max_mb=0.001)
    assert refusal.value.code == "gate"
    with pytest.raises(Rejected, match="ms a row"):
        _optimised(*_deciding(50), max_ms=1e-6)


def test_a_recipe_can_ask_for_none() -> None:
    form, report, converted = _optimised(*_deciding(20_000), int8=False, static_int8=False, float16=False, prune=False)
    assert (form.model, report["why"]) == (converted, "the recipe asks for no smaller form")


def test_float16_keeps_what_it_cannot_hold() -> None:
    net, preprocess, _ = _deciding(20_000, spread=1e6)
    assert quantise.float16(Model(net, Classes(2), Calibration()).onnx()) is None
    assert quantise.float16(Model(_deciding(20_000)[0], Classes(2), Calibration()).onnx()) is not None
    assert preprocess["kind"] == "text"
