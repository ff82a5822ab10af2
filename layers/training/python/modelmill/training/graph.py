"""An ONNX graph, written node by node: equal weights give equal bytes, and nothing else is in the file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn

OPSETS = {"": 18, "ai.onnx.ml": 5}
IR_VERSION = 10


class Graph:
    """Nodes and initialisers in the order in which they are added, named by their number."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: dict[str, onnx.ValueInfoProto] = {}
        self._prefix = ""

    @contextmanager
    def part(self, prefix: str) -> Iterator[None]:
        """Inside, inputs have the prefix of one part of a model of several."""
        outer, self._prefix = self._prefix, self._prefix + prefix
        try:
            yield
        finally:
            self._prefix = outer

    def input(self, name: str, kind: str, *shape: int | str) -> str:
        """An input [rows, *shape] of ONNX type `kind` (FLOAT, INT64, …); the same name is the same input."""
        name, element = self._prefix + name, onnx.TensorProto.DataType.Value(kind)
        # Each part has lengths of its own: axes of one name must be of one size.
        axes = [self._prefix + axis if isinstance(axis, str) else axis for axis in shape]
        self._inputs.setdefault(name, helper.make_tensor_value_info(name, element, ["rows", *axes]))
        return name

    def constant(self, value: Tensor | NDArray[Any] | float | list[int], name: str = "") -> str:
        """An initialiser; a Python float is a float32."""
        if isinstance(value, Tensor):
            array = value.detach().cpu().numpy()
        elif isinstance(value, float):
            array = np.array(value, dtype=np.float32)
        else:
            array = np.asarray(value)
        name = f"{self._prefix}{name}" if name else f"constant_{len(self._constants)}"
        if any(name == constant.name for constant in self._constants):  # of another net that reads the same part
            name = f"{name}_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def op(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """A node of one output; `domain="ai.onnx.ml"` for operators that are not ONNX's own."""
        output = output or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def linear(self, layer: nn.Linear, inputs: str) -> str:
        """MatMul and Add rather than Gemm: that is what dynamic quantisation knows."""
        product = self.op("MatMul", [inputs, self.constant(layer.weight.T)])
        return self.op("Add", [product, self.constant(layer.bias)])

    def layer_norm(self, norm: nn.LayerNorm, state: str) -> str:
        """LayerNorm over the last axis."""
        scale, bias = self.constant(norm.weight), self.constant(norm.bias)
        return self.op("LayerNormalization", [state, scale, bias], axis=-1, epsilon=norm.eps)

    def serialised(self, name: str, width: int) -> bytes:
        """The bytes of the model whose output is `name` float32 [rows, width], checked by onnx."""
        output = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["rows", width])
        inputs = list(self._inputs.values())
        graph = helper.make_graph(self._nodes, "modelmill", inputs, [output], self._constants)
        domains = sorted({node.domain for node in self._nodes} | {""})
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(domain, OPSETS[domain]) for domain in domains],
            ir_version=IR_VERSION,
            producer_name="modelmill",
        )
        onnx.checker.check_model(model, full_check=True)
        data: bytes = model.SerializeToString(deterministic=True)
        return data
