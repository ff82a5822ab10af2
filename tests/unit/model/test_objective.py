"""What can be learnt of a measure, and what cannot be answered in 32 bits."""

import numpy as np
import pytest

from modelmill.core.errors import Rejected
from modelmill.training.objective import Measure

DRAWN = np.random.default_rng(0).normal(size=200)


@pytest.mark.parametrize("values", [DRAWN, DRAWN * 1e30, DRAWN * 1e-30, 1e6 + DRAWN, np.r_[DRAWN, 1e9]])
def test_a_measure_has_its_own_scale(values: np.ndarray) -> None:
    scale = Measure.of(values)
    assert (scale.mean, scale.spread) == (values.mean(), values.std())


def test_a_constant_has_no_scale() -> None:
    assert Measure.of(np.full(60, 0.1)).spread == 1


@pytest.mark.parametrize("values", [1e9 + DRAWN, DRAWN * 1e39, DRAWN * 1e200, DRAWN * 1e-44, DRAWN * 1e-300])
def test_a_measure_that_32_bits_cannot_hold_is_refused(values: np.ndarray) -> None:
    with pytest.raises(Rejected, match="32 bits") as refusal:
        Measure.of(values)
    assert refusal.value.code == "bad_target"
