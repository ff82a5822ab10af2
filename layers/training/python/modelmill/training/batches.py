"""Batches: how many rows there are, or how long each is, in; their numbers in the batches of an epoch out."""

import torch
from torch import Tensor

_WINDOW = 16
"""Batches whose rows are sorted by length together: more pad less, fewer mix better."""


def shuffled(rows: int, size: int, generator: torch.Generator) -> list[Tensor]:
    """Every row once, in random order, in batches int64 [<= size] alike in size: no last one of a row or two."""
    order = torch.randperm(rows, generator=generator)
    return list(torch.tensor_split(order, -(-rows // size)))


def bucketed(lengths: Tensor, size: int, generator: torch.Generator) -> list[Tensor]:
    """As `shuffled`, but rows of one batch are alike in length int64 [rows], so that little is computed for padding.

    Rows are drawn at random into windows of some batches, and sorted by length there; then the batches are shuffled. So
    a row meets other neighbours in every epoch. Where the windows would be few, all rows are one.
    """
    rows = len(lengths)
    # A little noise parts rows of equal length, and those close to each other, differently in every epoch.
    noise = torch.rand(rows, generator=generator)
    windows = max(1, rows // (size * _WINDOW * 4))
    order = torch.randperm(rows, generator=generator)
    batches: list[Tensor] = []
    for window in torch.tensor_split(order, windows):
        length = lengths[window] * (1 + 0.02 * noise[window])
        batches += torch.tensor_split(window[length.argsort()], -(-len(window) // size))
    return [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()]


def by_length(lengths: Tensor, size: int) -> list[Tensor]:
    """All rows, the shortest first, in batches: for a pass without learning."""
    return list(torch.split(lengths.argsort(stable=True), size))
