"""Do probabilities mean what they say? Probabilities and what came true in; bins and the expected error out.

Bins have equally many rows (Nixon et al. 2019), as most of a good model's probabilities are close to 0 or 1. On few
rows an honest model shows an error too, by chance: how much, is found by letting its own probabilities come true
(consistency resampling, Bröcker and Smith 2007).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelmill.training.evaluate.bootstrap import Floats, figure

_BINS, _SIMULATIONS, _MOST = 15, 200, 20_000_000
_SMALLEST = 1e-12


def calibration(probabilities: NDArray[Any], came_true: NDArray[Any], seed: int) -> dict[str, Any]:
    """`ece` (0 to 1), the ece that chance alone shows in 95 % of cases, and the bins, of probabilities [n]."""
    order = np.argsort(probabilities, kind="stable")
    said, found = probabilities[order].astype(np.float64), came_true[order].astype(np.float64)
    starts = np.unique(np.linspace(0, len(said), _BINS + 1).astype(np.int64)[:-1])
    counts = np.diff(np.r_[starts, len(said)])
    random = np.random.default_rng(seed)
    simulations = int(np.clip(_MOST // len(said), 20, _SIMULATIONS))
    chance = [_error(said, random.random(len(said)) < said, starts) for _ in range(simulations)]
    return {
        "ece": figure(_error(said, found, starts)),
        "ece_by_chance": figure(float(np.quantile(chance, 0.95))),
        "bins": [
            {"said": figure(mean), "found": figure(share), "rows": int(rows)}
            for mean, share, rows in zip(
                np.add.reduceat(said, starts) / counts, np.add.reduceat(found, starts) / counts, counts, strict=True
            )
        ],
    }


def _error(said: Floats, found: NDArray[Any], starts: NDArray[np.int64]) -> float:
    return float(np.abs(np.add.reduceat(said - found, starts)).sum() / len(said))


def uncalibrated(probabilities: NDArray[Any], scale: float, answers: str) -> Floats:
    """What the probabilities [rows, K] were before their logits were multiplied by `scale`."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))
    if answers == "multilabel":
        logits = (logits - np.log(np.maximum(1 - probabilities.astype(np.float64), _SMALLEST))) / scale
        return np.asarray(1 / (1 + np.exp(-logits)))
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / scale)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
