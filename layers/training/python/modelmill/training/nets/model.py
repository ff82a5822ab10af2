"""A net and its calibration: arrays in, answers (probabilities or a measure) out, in torch and in ONNX."""

import torch
from torch import Tensor

from modelmill.serving.features import Arrays
from modelmill.training.nets.base import Net
from modelmill.training.objective import Calibration, Objective


class Model:
    """What is measured, converted and served."""

    def __init__(self, net: Net, objective: Objective, calibration: Calibration) -> None:
        self.net, self.objective, self.calibration = net, objective, calibration

    @torch.no_grad()
    def answers(self, arrays: Arrays) -> Tensor:
        """Probabilities float32 [B, K], or the measure [B, 1], of one batch."""
        raw = self.net(**{name: torch.from_numpy(array) for name, array in arrays.items()})
        return self.objective.activate(raw * self.calibration.scale + self.calibration.shift)

    def onnx(self) -> bytes:
        """The serialised ONNX model; its output is `objective.answer` float32 [rows, K]."""
        from modelmill.training.graph import Graph  # late: onnx is only needed here

        graph = Graph()
        outputs = self.net.export(graph)
        if self.calibration.scale != 1:
            outputs = graph.op("Mul", [outputs, graph.constant(self.calibration.scale)])
        if self.calibration.shift:
            outputs = graph.op("Add", [outputs, graph.constant(self.calibration.shift)])
        attributes = {"axis": 1} if self.objective.activation == "Softmax" else {}
        graph.op(self.objective.activation, [outputs], output=self.objective.answer, **attributes)
        return graph.serialised(self.objective.answer, self.objective.outputs)
