"""L-BFGS: a smooth strictly convex function and a start in, its minimum out.

`torch.optim.LBFGS` does the same, but the first torch optimiser of a process imports torch's compiler, which takes
longer than fitting a linear model. Source: Nocedal and Wright, "Numerical Optimization", 2nd edition, algorithm 7.4.
"""

import math
from collections import deque
from collections.abc import Callable

from torch import Tensor

Function = Callable[[Tensor], tuple[float, Tensor]]
_HISTORY = 10
_ARMIJO = 1e-4
_HALVINGS = 20
_FEW = 5


def minimise(
    function: Function, start: Tensor, *, iterations: int = 150, tolerance: float = 1e-5, decrease: float = 0.0
) -> Tensor:
    """The point where the gradient's norm is below `tolerance`, or the one reached after `iterations`.

    Or the one where the last few steps have lessened the value by no more than the share `decrease` of it.

    `function` gives value and gradient at a flat float64 tensor.
    """
    point = start.clone()
    value, gradient = function(point)
    pairs: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=_HISTORY)
    values: deque[float] = deque([math.inf] * _FEW + [value], maxlen=_FEW + 1)
    for _ in range(iterations):
        if float(gradient.norm()) < tolerance:
            break
        direction = _direction(gradient, pairs)
        slope = float(direction @ gradient)
        step = 1.0 if pairs else min(1.0, 1.0 / float(gradient.norm()))
        for _ in range(_HALVINGS):
            moved = point + step * direction
            new_value, new_gradient = function(moved)
            if new_value <= value + _ARMIJO * step * slope:
                break
            step /= 2
        else:
            break  # no decrease within float64: this is the minimum
        change, bend = moved - point, new_gradient - gradient
        curvature = float(change @ bend)
        if curvature > 0:
            pairs.append((change, bend, curvature))
        point, value, gradient = moved, new_value, new_gradient
        values.append(value)
        if values[0] - value <= decrease * abs(value):
            break
    return point


def _direction(gradient: Tensor, pairs: deque[tuple[Tensor, Tensor, float]]) -> Tensor:
    """The two-loop recursion: minus the inverse Hessian's estimate times the gradient."""
    direction, alphas = -gradient, []
    for change, bend, curvature in reversed(pairs):
        alpha = float(change @ direction) / curvature
        direction = direction - alpha * bend
        alphas.append(alpha)
    if pairs:
        _, bend, curvature = pairs[-1]
        direction = direction * (curvature / float(bend @ bend))
    for (change, bend, curvature), alpha in zip(pairs, reversed(alphas), strict=True):
        direction = direction + change * (alpha - float(bend @ direction) / curvature)
    return direction
