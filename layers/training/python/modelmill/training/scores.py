"""Scores of validation logits: what the choice of settings, early stopping and temperature go by."""

import torch
from torch import Tensor
from torch.nn import functional

_MIN_ROWS = 200
"""Fewest validation rows that a temperature is fitted on: on fewer it would follow chance."""
_INVERSE_TEMPERATURES = torch.linspace(0.5, 2.0, 61).tolist()


def log_loss(logits: Tensor, labels: Tensor) -> float:
    """Mean log loss (nats) of logits [rows, C] in float64."""
    return float(functional.cross_entropy(logits.double(), labels))


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of rows whose largest logit is that of the label."""
    return float((logits.argmax(dim=1) == labels).double().mean())


def best_scale(logits: Tensor, labels: Tensor) -> float:
    """The factor on the logits (1 / temperature, Guo et al. 2017) with the least log loss; 1 on few rows."""
    if len(labels) < _MIN_ROWS:
        return 1.0
    return float(min(_INVERSE_TEMPERATURES, key=lambda factor: log_loss(logits * factor, labels)))
