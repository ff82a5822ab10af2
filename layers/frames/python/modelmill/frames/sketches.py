"""Bytes of sketches that follow from what a sketch knows: a sketch of Apache DataSketches in, canonical bytes out.

The library writes what a hash table holds in the order of the table, which a sketch that was read back need not have.
Here the entries are sorted, so that equal sketches are equal bytes whichever way they came. The layouts are those of
`HllUtil`, `hll_4` and `frequent_items_sketch` of DataSketches C++ 5; the library reads them in any order.
"""

import struct
from typing import Any

_LIST, _SET = 0, 1
_LIST_START, _SET_START, _HLL_START = 8, 12, 40
_AUX_COUNT = 36
_FREQUENT_START = 32


def hll_bytes(sketch: Any) -> bytes:
    """A sketch of different values: the few values as coupons, or registers with the exceptions of HLL_4 after them."""
    data: bytes = sketch.serialize_compact()
    mode = data[7] & 3
    if mode in (_LIST, _SET):
        return _sorted(data, _LIST_START if mode == _LIST else _SET_START)
    (exceptions,) = struct.unpack_from("<I", data, _AUX_COUNT)
    return _sorted(data, len(data) - 4 * exceptions)


def _sorted(data: bytes, start: int) -> bytes:
    """The words of 32 bits from `start` on in order."""
    count = (len(data) - start) // 4
    return data[:start] + struct.pack(f"<{count}I", *sorted(struct.unpack_from(f"<{count}I", data, start)))


def frequent_bytes(sketch: Any) -> bytes:
    """A sketch of frequent strings: weights, then strings with their lengths, sorted by the strings."""
    data: bytes = sketch.serialize()
    if len(data) <= _FREQUENT_START:
        return data
    (count,) = struct.unpack_from("<I", data, 8)
    weights = struct.unpack_from(f"<{count}Q", data, _FREQUENT_START)
    position = _FREQUENT_START + 8 * count
    items = []
    for weight in weights:
        (size,) = struct.unpack_from("<I", data, position)
        end = position + 4 + size
        items.append((data[position + 4 : end], weight, data[position:end]))
        position = end
    items.sort()
    return b"".join(
        [
            data[:_FREQUENT_START],
            struct.pack(f"<{count}Q", *(weight for _, weight, _ in items)),
            *(raw for *_, raw in items),
        ]
    )
