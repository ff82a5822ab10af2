"""A loaded model of tensors: the arrays of an infer request go straight into the ONNX graph and its outputs come back.

That is what a package with `{"kind": "tensors"}` in its preprocess.json holds: any graph, described by its signature.
It has no labels and no raw columns, so `predict` refuses it.
"""

import json
import math
import struct
import time
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelmill.core.errors import ModelmillError
from modelmill.serving.binary import DTYPES, bad, unknown_datatype
from modelmill.serving.instances import json_name
from modelmill.serving.model import Model, UnusableModel, session
from modelmill.serving.tensors import asked

_ONNX = {"float16": "FP16", "float": "FP32", "double": "FP64", "string": "BYTES"}
# numpy's own letters mean C's types, whose sizes differ by platform.
_CODES = dict(zip(["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"], "bBhHiIqQefd", strict=True))


class TensorModel:
    """Tensors → tensors. `signature` is what the graph itself says, and what the package must say."""

    def __init__(self, folder: Path) -> None:
        """Load the verified package in `folder`; raises UnusableModel. Ready means: it ran once."""
        path = folder / "model.onnx"
        self.size = path.stat().st_size
        self.signature: dict[str, Any] = json.loads((folder / "signature.json").read_bytes())
        self._session = session(path)
        self._inputs = {t["name"]: (t["datatype"], t["shape"]) for t in self.signature["inputs"]}
        self._outputs = {t["name"]: t["datatype"] for t in self.signature["outputs"]}
        if {t.name: _datatype(t.type) for t in self._session.get_inputs()} != {
            name: datatype for name, (datatype, _) in self._inputs.items()
        } or {t.name: _datatype(t.type) for t in self._session.get_outputs()} != self._outputs:
            raise UnusableModel("the signature is not that of the graph")
        self.seconds = self._warm_up()

    def infer(self, request: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
        """The outputs that were asked for, and the rows that came in; raises ModelmillError naming the tensor."""
        names = asked(request, self._outputs)
        arrays: dict[str, NDArray[Any]] = {}
        for index, tensor in enumerate(request["inputs"]):
            name, where = tensor["name"], f"inputs[{index}] ({tensor['name']:.60})"
            if name not in self._inputs:
                raise bad(f"{where} is no input of this model", f"it knows: {', '.join(list(self._inputs)[:20])}")
            if name in arrays:
                raise bad(f"{where} was given twice")
            arrays[name] = _array(tensor, *self._inputs[name], where)
        if missing := [name for name in self._inputs if name not in arrays]:
            raise bad(f"the input {missing[0]!r} is missing")
        first = next(iter(arrays.values()))
        return self._run(names, arrays), len(first) if first.ndim else 1

    def _run(self, names: list[str], arrays: dict[str, NDArray[Any]]) -> list[dict[str, Any]]:
        try:
            results = self._session.run(names, arrays)
        # onnxruntime's errors share no base class but Exception; the graph ran before, so it is these values.
        except Exception as error:
            raise ModelmillError(
                "no_answer",
                f"the model does not take these values ({type(error).__name__})",
                status=422,
                hint="check shapes and ranges",
            ) from error
        return [
            {
                "name": name,
                "datatype": self._outputs[name],
                "shape": list(result.shape),
                "data": result.ravel().tolist() if result.dtype == object else result,
            }
            for name, result in zip(names, results, strict=True)
        ]

    def _warm_up(self) -> float:
        """Seconds of the second run, with one row of zeros."""
        arrays = {
            name: np.full(shape, "", object) if datatype == "BYTES" else np.zeros(shape, DTYPES[datatype])
            for name, (datatype, form) in self._inputs.items()
            for shape in [[max(size, 1) for size in form]]
        }
        try:
            self._run(list(self._outputs), arrays)
        except ModelmillError as error:
            raise UnusableModel(f"the model does not run: {error.message}") from error
        started = time.perf_counter()
        self._run(list(self._outputs), arrays)
        return time.perf_counter() - started


def model_in(folder: Path) -> Model | TensorModel:
    """The model of the verified package in `folder`, by the kind of its preprocessing; raises UnusableModel."""
    kind = json.loads((folder / "preprocess.json").read_bytes())["kind"]
    return TensorModel(folder) if kind == "tensors" else Model(folder)


def _datatype(onnx: str) -> str:
    """`tensor(float)` → FP32. Sequences, maps and what else has no OIP datatype are left as they are, so refused."""
    name = onnx.removeprefix("tensor(").removesuffix(")")
    return _ONNX.get(name, name.upper())


def _array(tensor: Mapping[str, Any], datatype: str, form: list[int], where: str) -> NDArray[Any]:
    got, shape, data = tensor.get("datatype"), tensor.get("shape"), tensor.get("data")
    if got != datatype:
        if not isinstance(got, str) or got not in (*DTYPES, "BYTES"):
            raise unknown_datatype(got, where)
        raise bad(f"{where} must have the datatype {datatype}, got {got!r}")
    if (
        not isinstance(shape, list)
        or len(shape) != len(form)
        or not all(
            type(size) is int and 0 <= size < 2**31 and wanted in (-1, size)
            for size, wanted in zip(shape, form, strict=True)
        )
    ):
        raise bad(f"{where} has the shape {str(shape)[:40]}, the model wants {form}", "-1 is any size")
    values = data if isinstance(data, np.ndarray) else _packed(data, datatype, len(shape), where)
    if values.size != math.prod(shape):
        raise bad(f"{where} has {values.size} values and the shape {shape}")
    return values.reshape(shape)


def _packed(data: object, datatype: str, depth: int, where: str) -> NDArray[Any]:
    """JSON values as an array: flat, or nested as deep as the shape at most."""
    if not isinstance(data, list):
        raise bad(f"{where}.data must be a list, got {json_name(data)}")
    while depth > 1 and data and type(data[0]) is list:
        if any(type(part) is not list for part in data):
            raise bad(f"{where}.data is not evenly nested")
        data, depth = list(chain.from_iterable(data)), depth - 1
    if datatype == "BYTES":
        _only({str}, data, "a string", where)
        return np.array(data, object)
    dtype = DTYPES[datatype]
    if datatype == "BOOL":
        _only({bool}, data, "true or false", where)
        return np.array(data, dtype)
    try:
        # A third of the time that numpy takes for a list, and strict: no text, no null, nothing out of range.
        values = np.frombuffer(struct.pack(f"<{len(data)}{_CODES[dtype.str[1:]]}", *data), dtype)
    except (struct.error, OverflowError):
        whole = dtype.kind in "iu"
        _only({int} if whole else {int, float}, data, "a whole number" if whole else "a number", where)
        raise bad(f"{where}.data has a number that {datatype} does not hold") from None
    # True and False pack as 1 and 0, so only an array with such a value can hold them.
    if ((values == 0) | (values == 1)).any():
        _only({int, float}, data, "a number", where)
    return values


def _only(types: set[type], data: list[Any], wanted: str, where: str) -> None:
    if not types.issuperset(map(type, data)):
        index, value = next((i, v) for i, v in enumerate(data) if type(v) not in types)
        raise bad(f"{where}.data[{index}] must be {wanted}, got {json_name(value)}")
