"""Tensors as bytes: round trips of every datatype, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelmill.core.errors import ModelmillError
from modelmill.serving import binary


def refusal(action: Callable[[], object]) -> ModelmillError | None:
    try:
        action()
    except ModelmillError as error:
        return error
    return None


@given(data=st.data(), name=st.sampled_from(sorted(binary.DTYPES)))
def test_numbers_come_back_as_they_were(data: st.DataObject, name: str) -> None:
    values = data.draw(hnp.arrays(binary.DTYPES[name], st.integers(0, 20)))
    back = binary.decode(name, binary.encode(values), "x")
    assert isinstance(back, np.ndarray)
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)


@given(st.lists(st.text(max_size=20), max_size=10))
def test_texts_come_back_as_they_were(texts: list[str]) -> None:
    assert binary.decode("BYTES", binary.encode(texts), "x") == texts


@given(name=st.sampled_from([*binary.DTYPES, "BYTES", "BF16", "FP8", None, 7]), raw=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(name: object, raw: bytes) -> None:
    error = refusal(lambda: binary.decode(name, raw, "inputs[0] (x)"))
    assert error is None or (error.status, error.message[:13]) == (400, "inputs[0] (x)")


def test_bf16_is_refused_with_a_way_out() -> None:
    with pytest.raises(ModelmillError, match="BF16") as caught:
        binary.decode("BF16", b"\0\0", "x")
    assert caught.value.hint == "convert it to FP32"


def tensor(size: object, datatype: str = "FP32") -> dict[str, Any]:
    return {"name": "x", "datatype": datatype, "shape": [1], "parameters": {"binary_data_size": size}}


def body(document: object, *parts: bytes) -> tuple[bytes, str]:
    head = orjson.dumps(document)
    return b"".join((head, *parts)), str(len(head))


def test_tensors_behind_the_json_are_put_in_their_place() -> None:
    inputs = [tensor(4), {"name": "y", "data": [1]}, tensor(6, "BYTES")]
    document = binary.read(*body({"inputs": inputs}, b"\0\0\x80?", b"\x02\0\0\0\xc3\xa9"))
    assert [list(each["data"]) for each in document["inputs"]] == [[1.0], [1], ["é"]]


@pytest.mark.parametrize(
    ("document", "rest", "says"),
    [
        ({"inputs": [tensor(8)]}, b"1234", "4 bytes are left"),
        ({"inputs": [tensor(-1)]}, b"", "binary_data_size -1"),
        ({"inputs": [tensor(True)]}, b"1", "binary_data_size True"),
        ({"inputs": [tensor("4")]}, b"1234", "binary_data_size '4'"),
        ({"inputs": [tensor(3)]}, b"123", "no whole number"),
        ({"inputs": [tensor(4)]}, b"12345", "1 bytes follow"),
        ({"inputs": [tensor(4) | {"data": [1]}]}, b"1234", "both data and"),
        ({"inputs": [tensor(4, "BYTES")]}, b"\xff\xff\xff\xff", "middle of an element"),
        ({"inputs": [tensor(5, "BYTES")]}, b"\x01\0\0\0\xff", "not UTF-8"),
        ({"inputs": [tensor(1, "BOOL")]}, b"\x02", "neither 0 nor 1"),
    ],
)
def test_bad_binary_bodies_are_refused(document: object, rest: bytes, says: str) -> None:
    with pytest.raises(ModelmillError, match=says) as caught:
        binary.read(*body(document, rest))
    assert caught.value.status == 400


@pytest.mark.parametrize("length", ["", "-1", "x", "99", "1e1", "٣"])
def test_bad_header_lengths_are_refused(length: str) -> None:
    with pytest.raises(ModelmillError, match="Inference-Header-Content-Length"):
        binary.read(b'{"inputs":[]}', length)


@given(
    st.recursive(
        st.none() | st.integers(-9, 99) | st.text(max_size=5),
        lambda c: (
            st.lists(c, max_size=3)
            | st.dictionaries(
                st.sampled_from(["inputs", "parameters", "binary_data_size", "name", "datatype", "data"]), c, max_size=4
            )
        ),
    ),
    st.binary(max_size=20),
)
def test_any_document_is_read_or_refused(document: object, rest: bytes) -> None:
    error = refusal(lambda: binary.read(*body(document, rest)))
    assert error is None or error.status == 400
