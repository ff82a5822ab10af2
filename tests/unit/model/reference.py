"""BERT once more, in numpy and from the stored names, as the paper and Hugging Face's own code have it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_erf = np.vectorize(math.erf)


def states(ids: list[int], stored: Mapping[str, Any], heads: int, epsilon: float, first_place: int = 0) -> Array:
    """The last layer's states [L, H] of one row without padding."""

    def tensor(name: str) -> Array:
        return np.asarray(stored[name], dtype=np.float64)

    def linear(value: Array, name: str) -> Array:
        return np.asarray(value @ tensor(f"{name}.weight").T + tensor(f"{name}.bias"))

    def norm(value: Array, name: str) -> Array:
        centred = value - value.mean(-1, keepdims=True)
        spread = np.sqrt(centred.var(-1, keepdims=True) + epsilon)
        return np.asarray(centred / spread * tensor(f"{name}.weight") + tensor(f"{name}.bias"))

    places = tensor("embeddings.position_embeddings.weight")[first_place : first_place + len(ids)]
    state = tensor("embeddings.word_embeddings.weight")[ids] + places
    if "embeddings.token_type_embeddings.weight" in stored:
        state = state + tensor("embeddings.token_type_embeddings.weight")[0]
    state = norm(state, "embeddings.LayerNorm")
    layers = 1 + max(int(name.split(".")[2]) for name in stored if name.startswith("encoder.layer."))
    for layer in range(layers):
        begin = f"encoder.layer.{layer}."
        q, k, v = (
            linear(state, f"{begin}attention.self.{name}").reshape(len(ids), heads, -1).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (shares / shares.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(state.shape)
        state = norm(state + linear(mixed, f"{begin}attention.output.dense"), f"{begin}attention.output.LayerNorm")
        inner = linear(state, f"{begin}intermediate.dense")
        inner = inner * (1 + _erf(inner / math.sqrt(2))) / 2
        state = norm(state + linear(inner, f"{begin}output.dense"), f"{begin}output.LayerNorm")
    return state
