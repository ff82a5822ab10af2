"""A net in, the same arithmetic as an ONNX model out: raw arrays → `probabilities` float32 [rows, classes].

Written node by node, so that equal weights give equal bytes and nothing is in the file that serving does not need.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from modelmill.training.nets import LIMIT, Block, Net, Numbers, TabularNet, TextNet

OPSET = 18
IR_VERSION = 10


def onnx_model(net: Net) -> bytes:
    """The serialised model of `net`, checked by onnx."""
    graph = _Graph()
    logits = _text(graph, net) if isinstance(net, TextNet) else _tabular(graph, net)
    graph.op("Softmax", [logits], axis=1, output="probabilities")
    model = graph.model(classes=len((net.head or net).bias if isinstance(net, TextNet) else net.leave.bias))
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


class _Graph:
    """Nodes and initialisers in the order in which they are added, named by their number."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: int, width: int | str) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, kind, ["rows", width]))
        return name

    def constant(self, value: Tensor | NDArray[Any] | float | list[int], name: str = "") -> str:
        if isinstance(value, Tensor):
            array = value.detach().cpu().numpy()
        elif isinstance(value, float):
            array = np.array(value, dtype=np.float32)
        else:
            array = np.asarray(value)
        name = name or f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def op(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        output = output or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def linear(self, layer: nn.Linear, inputs: str) -> str:
        """MatMul and Add rather than Gemm: that is what dynamic quantisation knows."""
        product = self.op("MatMul", [inputs, self.constant(layer.weight.T)])
        return self.op("Add", [product, self.constant(layer.bias)])

    def model(self, classes: int) -> onnx.ModelProto:
        output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", classes])
        graph = helper.make_graph(self._nodes, "modelmill", self._inputs, [output], self._constants)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="modelmill"
        )


def _text(graph: _Graph, net: TextNet) -> str:
    """`TextNet.forward`."""
    ids = graph.input("ids", TensorProto.INT64, "length")
    counts = graph.input("counts", TensorProto.FLOAT, "length")
    one = graph.constant(1.0)
    frequency = graph.op("Add", [graph.op("Log", [graph.op("Max", [counts, one])]), one])
    raw = graph.op("Mul", [frequency, graph.op("Gather", [graph.constant(net.idf, "idf"), ids])])
    norm = graph.op("ReduceL2", [raw, graph.constant([1])], keepdims=1)
    weights = graph.op("Div", [raw, graph.op("Max", [norm, graph.constant(1e-12)])])
    rows = graph.op("Gather", [graph.constant(net.table, "table"), ids])
    pooled = graph.op("MatMul", [graph.op("Unsqueeze", [weights, graph.constant([1])]), rows])
    hidden = graph.op("Add", [graph.op("Squeeze", [pooled, graph.constant([1])]), graph.constant(net.bias)])
    return hidden if net.head is None else graph.linear(net.head, graph.op("Relu", [hidden]))


def _tabular(graph: _Graph, net: TabularNet) -> str:
    """`TabularNet.forward`; a kind of column that the data do not have has an input of width 0 and no nodes."""
    width, columns = len(net.numbers.fill), len(net.starts)
    numbers = graph.input("numbers", TensorProto.FLOAT, width)
    categories = graph.input("categories", TensorProto.INT64, columns)
    encoded = [_numbers(graph, net.numbers, numbers)] if width else []
    rows = []
    if columns:
        places = graph.op("Add", [categories, graph.constant(net.starts)])
        rows = [graph.op("Gather", [graph.constant(net.table, "table"), places])]
    if net.enter is None or net.norm is None:
        linear = [graph.op("ReduceSum", [part, graph.constant([1])], keepdims=0) for part in rows]
        products = [graph.op("MatMul", [part, graph.constant(net.leave.weight.T)]) for part in encoded]
        return graph.op("Sum", [*products, *linear, graph.constant(net.leave.bias)])
    joined = graph.op("Concat", [*encoded, *(graph.op("Flatten", [part], axis=1) for part in rows)], axis=1)
    state = graph.linear(net.enter, joined)
    for block in net.blocks:
        if isinstance(block, Block):
            state = _block(graph, block, state)
    return graph.linear(net.leave, graph.op("Relu", [_norm(graph, net.norm, state)]))


def _numbers(graph: _Graph, net: Numbers, numbers: str) -> str:
    """`Numbers.forward`."""
    missing = graph.op("IsNaN", [numbers])
    filled = graph.op("Where", [missing, graph.constant(net.fill), numbers])
    centred = graph.op("Sub", [filled, graph.constant(net.centre)])
    scaled = graph.op("Mul", [centred, graph.constant(net.inverse_scale)])
    standard = graph.op("Clip", [scaled, graph.constant(-LIMIT), graph.constant(LIMIT)])
    over = graph.op("Sub", [graph.op("Unsqueeze", [filled, graph.constant([2])]), graph.constant(net.edges)])
    risen = graph.op("Mul", [over, graph.constant(net.inverse_widths)])
    bins = graph.op("Clip", [risen, graph.constant(0.0), graph.constant(1.0)])
    flag = graph.op("Cast", [missing], to=TensorProto.FLOAT)
    return graph.op("Concat", [standard, flag, graph.op("Flatten", [bins], axis=1)], axis=1)


def _block(graph: _Graph, block: Block, state: str) -> str:
    inner = graph.op("Relu", [graph.linear(block.up, _norm(graph, block.norm, state))])
    return graph.op("Add", [state, graph.linear(block.down, inner)])


def _norm(graph: _Graph, norm: nn.LayerNorm, state: str) -> str:
    scale, bias = graph.constant(norm.weight), graph.constant(norm.bias)
    return graph.op("LayerNormalization", [state, scale, bias], axis=-1, epsilon=norm.eps)
