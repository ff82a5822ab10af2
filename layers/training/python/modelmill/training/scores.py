"""Temperature: raw outputs of rows that a net did not learn from in, the factor that makes them honest out."""

from collections.abc import Callable

import torch
from torch import Tensor

_MIN_ROWS = 200
"""Fewest validation rows that a temperature is fitted on: on fewer it would follow chance."""
_INVERSE_TEMPERATURES = torch.linspace(0.5, 2.0, 61).tolist()


def best_scale(loss: Callable[[Tensor], Tensor], raw: Tensor) -> float:
    """The factor on the outputs (1 / temperature, Guo et al. 2017) with the least loss; 1 on few rows."""
    if len(raw) < _MIN_ROWS:
        return 1.0
    return float(min(_INVERSE_TEMPERATURES, key=lambda factor: float(loss(raw.double() * factor))))
