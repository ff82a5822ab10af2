"""Tensors as bytes: values of every datatype ⇄ little-endian bytes, and the binary tensor extension's bodies.

The same bytes travel in HTTP bodies (behind the JSON, whose length the header `Inference-Header-Content-Length` says)
and in gRPC's raw contents. Source: "Binary Tensor Data Extension", Triton Inference Server, and the Open Inference
Protocol's gRPC page for raw contents. A BYTES element is its length in four bytes, then itself: UTF-8 text here.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from modelmill.core.errors import ModelmillError
from modelmill.serving.instances import json_name

LENGTH_HEADER = "inference-header-content-length"
DTYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    **{
        f"{sign}INT{8 * size}": np.dtype(f"<{sign.lower() or 'i'}{size}") for sign in ("", "U") for size in (1, 2, 4, 8)
    },
    **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}
"""OIP datatype → numpy's; BYTES is a list of texts, BF16 is refused (numpy has no such type)."""

Data = NDArray[Any] | Sequence[str]
Document = dict[str, Any]


def decode(datatype: object, raw: bytes | memoryview, where: str) -> Data:
    """The values in `raw`, flat; raises ModelmillError naming `where`."""
    if datatype == "BYTES":
        return _texts(raw, where)
    dtype = DTYPES.get(datatype) if isinstance(datatype, str) else None
    if dtype is None:
        raise unknown_datatype(datatype, where)
    if len(raw) % dtype.itemsize:
        raise bad(f"{where} has {len(raw)} bytes, which is no whole number of {datatype} values")
    values = np.frombuffer(raw, dtype)
    if datatype == "BOOL" and (values.view(np.uint8) > 1).any():
        raise bad(f"{where} holds a byte that is neither 0 nor 1")
    return values


def encode(data: Data) -> bytes:
    """The inverse of `decode`."""
    if isinstance(data, np.ndarray):
        return data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes()
    texts = [text.encode() for text in data]
    return b"".join(part for text in texts for part in (struct.pack("<I", len(text)), text))


def _texts(raw: bytes | memoryview, where: str) -> list[str]:
    data, texts, offset = bytes(raw), list[str](), 0
    while offset < len(data):
        start = offset + 4
        offset = start + int.from_bytes(data[offset:start], "little")
        if start > len(data) or offset > len(data):
            raise bad(f"{where} ends in the middle of an element", "each is its length in four bytes, then itself")
        try:
            texts.append(data[start:offset].decode())
        except UnicodeDecodeError:
            raise bad(f"{where}.data[{len(texts)}] is not UTF-8") from None
    return texts


def read(body: bytes, length: str | None = None) -> Any:
    """The document in `body`, with the tensors that lie behind it in their places; raises ModelmillError (400).

    The first `length` bytes are JSON, all of them by default.
    """
    offset = len(body)
    if length is not None:
        if not (length.isascii() and length.isdecimal() and len(length) < 12 and int(length) <= offset):
            raise bad(f"Inference-Header-Content-Length is {length!r:.20}, the body has {offset} bytes")
        offset = int(length)
    document = parse(body[:offset])
    inputs = document.get("inputs") if isinstance(document, dict) else None
    for index, tensor in enumerate(inputs if isinstance(inputs, list) else []):
        parameters = tensor.get("parameters") if isinstance(tensor, dict) else None
        if not isinstance(parameters, dict) or "binary_data_size" not in parameters:
            continue
        where, size = f"inputs[{index}] ({tensor.get('name')!s:.60})", parameters["binary_data_size"]
        if type(size) is not int or not 0 <= size <= len(body) - offset:
            raise bad(f"{where} has the binary_data_size {size!r:.20}; {len(body) - offset} bytes are left for it")
        if "data" in tensor:
            raise bad(f"{where} has both data and binary_data_size")
        tensor["data"] = decode(tensor.get("datatype"), memoryview(body)[offset : offset + size], where)
        offset += size
    if offset != len(body):
        raise bad(f"{len(body) - offset} bytes follow the last tensor")
    return document


def write(answer: Document, request: Document) -> tuple[bytes, int | None]:
    """An answer's body and, if it holds a tensor that was asked for in binary, the length of its JSON."""
    everything = bool((request.get("parameters") or {}).get("binary_data_output"))
    asked = {output["name"]: output.get("parameters") or {} for output in request.get("outputs") or []}
    parts: list[bytes] = []
    outputs = [dict(output) for output in answer["outputs"]]
    for output in outputs:
        data = output.pop("data")
        if (asked.get(output["name"]) or {}).get("binary_data", everything):
            parts.append(encode(data))
            output["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            output["data"] = data.ravel().tolist() if isinstance(data, np.ndarray) else data
    head = orjson.dumps(answer | {"outputs": outputs})
    return (b"".join((head, *parts)), len(head)) if parts else (head, None)


def parse(raw: bytes | str) -> Any:
    """A JSON document; raises ModelmillError (400) with the position of the fault."""
    if not raw:
        raise bad("the body is empty", "send a JSON object")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        at = error.doc[error.pos :].lstrip("-")
        numbers = at.startswith(("NaN", "nan", "Infinity", "inf"))
        raise ModelmillError(
            "not_json",
            f"the body is not JSON: line {error.lineno} column {error.colno}: {error.msg}",
            hint="JSON has no NaN and no Infinity: send null for a missing number" if numbers else None,
        ) from None


def unknown_datatype(datatype: object, where: str) -> ModelmillError:
    """The refusal of a datatype that is not served."""
    got = repr(datatype)[:20] if isinstance(datatype, str) else json_name(datatype)
    hint = "convert it to FP32" if datatype == "BF16" else f"it is one of {', '.join(DTYPES)}, BYTES"
    return bad(f"{where} has the datatype {got}, which is not supported", hint)


def bad(message: str, hint: str | None = None) -> ModelmillError:
    """A refusal of the request."""
    return ModelmillError("bad_request", message, hint=hint)
