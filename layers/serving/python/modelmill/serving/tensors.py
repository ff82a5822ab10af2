"""Open Inference Protocol v2 tensors in JSON: a request's `inputs` to columns of raw values, answers to `outputs`.

Source: https://github.com/kserve/open-inference-protocol, "Inference" (HTTP/REST). Data may be flat or nested; a
tensor has one value a row, so its shape is [rows] or [rows, 1]. Data that came as bytes is an array already.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelmill.core.errors import ModelmillError
from modelmill.serving.answers import Answers
from modelmill.serving.instances import Columns, Field, check_rows, json_name, needs_one, nothing_known

_INTEGERS = frozenset(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
_NUMBERS = _INTEGERS | {"FP16", "FP32", "FP64"}

_OPTIONAL: dict[str, tuple[type, str]] = {
    "id": (str, "a string"),
    "outputs": (list, "a list"),
    "parameters": (dict, "an object"),
}


def check_request(body: object) -> dict[str, Any]:
    """The body as an infer request; raises ModelmillError (400)."""
    if not isinstance(body, dict):
        raise _bad(f"the body must be an object, got {json_name(body)}")
    if not isinstance(body.get("inputs"), list) or not body["inputs"]:
        raise _bad("'inputs' must be a list of at least one tensor")
    # Some clients write null for what is optional and was not given.
    body = {name: value for name, value in body.items() if value is not None}
    for name, (kind, article) in _OPTIONAL.items():
        if not isinstance(body.get(name, kind()), kind):
            raise _bad(f"{name!r} must be {article}, got {json_name(body[name])}")
    tensors = [*body["inputs"], *body.get("outputs", [])]
    for tensor in tensors:
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
            raise _bad("each of 'inputs' and 'outputs' must be an object with a 'name'")
        if not isinstance(tensor.get("parameters", {}), dict | None):
            raise _bad(f"the 'parameters' of {tensor['name']!r:.60} must be an object")
    return body


def columns_of(request: Mapping[str, Any], fields: Sequence[Field], *, is_text: bool) -> Columns:
    """Columns by field, None in every row for an input that was not sent; raises ModelmillError naming the tensor."""
    known = {field.name: field for field in fields}
    columns: dict[str, list[object]] = {}
    for index, tensor in enumerate(request["inputs"]):
        name, where = tensor["name"], f"inputs[{index}] ({tensor['name']:.60})"
        if name not in known:
            raise _bad(f"{where} is no input of this model", f"it knows: {', '.join(list(known)[:20])}")
        if name in columns:
            raise _bad(f"{where} was given twice")
        columns[name] = _values(tensor, known[name], where)
    rows = len(next(iter(columns.values())))
    uneven = [name for name, values in columns.items() if len(values) != rows]
    if uneven:
        raise _bad(f"the inputs differ in rows: {uneven[0]!r} has {len(columns[uneven[0]])}, the first has {rows}")
    for row in range(rows if needs_one(fields, is_text=is_text) else 0):
        if all(values[row] is None for values in columns.values()):
            raise nothing_known(f"row {row} of the inputs", fields)
    return {field.name: columns.get(field.name, [None] * rows) for field in fields}


def _values(tensor: Mapping[str, Any], field: Field, where: str) -> list[object]:
    datatype, shape = tensor.get("datatype"), tensor.get("shape")
    if not isinstance(datatype, str) or not (datatype in _NUMBERS if field.is_number else datatype == "BYTES"):
        expected = "FP64 (or another number type)" if field.is_number else "BYTES"
        raise _bad(f"{where} must have the datatype {expected}, got {str(datatype)[:20]!r}")
    data = _flat(tensor.get("data"), where)
    if shape not in ([len(data)], [len(data), 1]):
        raise _bad(
            f"{where} has {len(data)} values and the shape {str(shape)[:40]}", "the shape must be [rows] or [rows, 1]"
        )
    if not data:
        raise _bad(f"{where} has no rows")
    check_rows(len(data), "rows")
    kinds = (int, float) if field.is_number else (str,)
    for index, value in enumerate(data):
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise _bad(f"{where}.data[{index}] must be {field.wanted}, got {json_name(value)}")
    return [
        value if field.is_plain(value) else field.read(value, f"{where}.data[{index}]")
        for index, value in enumerate(data)
    ]


def _flat(data: object, where: str) -> list[object]:
    """One value a row from [v, …] or [[v], …], or from an array."""
    if isinstance(data, np.ndarray):
        return list(data.tolist())
    if not isinstance(data, list):
        raise _bad(f"{where}.data must be a list, got {json_name(data)}")
    if not any(isinstance(value, list) for value in data):
        return data
    for index, row in enumerate(data):
        if not isinstance(row, list) or len(row) != 1:
            raise _bad(f"{where}.data[{index}] must be a list of one value, as [rows, 1] says")
    return [row[0] for row in data]


def answer(request: Mapping[str, Any], answers: Answers, scores: NDArray[np.float32]) -> list[dict[str, Any]]:
    """The outputs that were asked for (all if none were named): those of the signature."""
    rows, width = scores.shape
    floats: dict[str, tuple[str, list[int], Callable[[], Any]]] = {
        "value": ("FP32", [rows], lambda: scores[:, 0]),
        "embedding": ("FP32", [rows, width], lambda: scores),
    }
    if answers.word in floats:
        outputs = {answers.word: floats[answers.word]}
    else:
        words = ("BYTES", [rows], lambda: answers.words(scores))
        outputs = {answers.word: words, "probabilities": ("FP32", [rows, width], lambda: scores)}
    return [
        {"name": name, "datatype": datatype, "shape": shape, "data": data()}
        for name, (datatype, shape, data) in ((name, outputs[name]) for name in asked(request, outputs))
    ]


def asked(request: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """The names of the outputs that were asked for, all `known` ones if none were; raises ModelmillError (400)."""
    names = [output["name"] for output in request.get("outputs", [])] or known
    unknown = [name for name in names if name not in known]
    if unknown:
        raise _bad(f"the model has no output {unknown[0]!r:.60}", f"it has: {', '.join(known)}")
    return list(dict.fromkeys(names))


def _bad(message: str, hint: str | None = None) -> ModelmillError:
    return ModelmillError("bad_request", message, hint=hint)
