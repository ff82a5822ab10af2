"""ONNX models in, the same graphs with rounded weights out; None for a graph that has nothing to round.

Dynamic int8 takes tables (Gather) and matrices (MatMul), or tables alone: a dynamic MatMul scales activations by the
largest value in the whole batch, so a row's answer may depend on the rows beside it. Static int8 fixes those scales by
a sample of rows. float16 stores large weights in half the bytes and computes in float32, which is what CPUs can do.
"""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from modelmill.serving.features import Arrays, Features
from modelmill.training.evaluate import batches
from modelmill.training.rows import Rows

DYNAMIC = {"int8": ["Gather", "MatMul"], "int8-tables": ["Gather"]}
"""Form → operators whose weights become int8."""
_STATIC = ("Conv", "MatMul", "Gemm")
_LARGE = 1_024
"""Values of a weight from which rounding it is worth a node."""
_HALF = float(np.finfo(np.float16).max)


def dynamic(model: bytes, operators: list[str]) -> bytes | None:
    """The model with int8 weights in `operators`; None if it has no large weights there."""
    if not _weighs(model, operators) or (operators == DYNAMIC["int8"] and not _weighs(model, ["MatMul"])):
        # Without matrices both dynamic forms are the same.
        return None
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _files(model) as (source, target):
        quantize_dynamic(source, target, op_types_to_quantize=operators, weight_type=QuantType.QInt8)
        return target.read_bytes()


def static(model: bytes, features: Features, sample: Rows) -> bytes | None:
    """The model with int8 weights and activations, whose ranges are those of the sample; None without such layers."""
    if not _weighs(model, _STATIC):
        return None
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Sample(CalibrationDataReader):  # type: ignore[misc] # onnxruntime has no types
        def __init__(self) -> None:
            self._batches = batches(features, sample)

        def get_next(self) -> Arrays | None:
            return next(self._batches, None)

    with _files(model) as (source, target):
        quantize_static(
            source,
            target,
            Sample(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=list(_STATIC),
            extra_options={"MatMulConstBOnly": True},
        )
        return target.read_bytes()


def float16(model: bytes) -> bytes | None:
    """The model with large weights as float16, which a Cast brings back; None if there are none."""
    proto = onnx.load_from_string(model)
    casts: list[Any] = []
    for constant in proto.graph.initializer:
        if constant.data_type != TensorProto.FLOAT or int(np.prod(constant.dims)) < _LARGE:
            continue
        values = numpy_helper.to_array(constant)
        if np.abs(values).max() > _HALF:
            continue
        name = constant.name
        constant.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], name=f"{name}_cast", to=TensorProto.FLOAT))
    if not casts:
        return None
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _weighs(model: bytes, operators: list[str] | tuple[str, ...]) -> bool:
    """True if a node of these operators has a large weight."""
    graph = onnx.load_from_string(model).graph
    large = {each.name for each in graph.initializer if int(np.prod(each.dims)) >= _LARGE}
    return any(node.op_type in operators and large & set(node.input) for node in graph.node)


@contextmanager
def _files(model: bytes) -> Iterator[tuple[Path, Path]]:
    """A file with the model and one to write, with onnxruntime's advice (to infer shapes first) kept quiet."""

    def without_advice(record: logging.LogRecord) -> bool:
        return "pre-processing before quantization" not in record.getMessage()

    logging.getLogger().addFilter(without_advice)
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = Path(folder, "model.onnx")
            source.write_bytes(model)
            yield source, Path(folder, "smaller.onnx")
    finally:
        logging.getLogger().removeFilter(without_advice)
