"""Multistep consistency sampling as published."""

import numpy as np
import pytest

from dtool.plan import CLEAN, Point
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler


@pytest.mark.parametrize("sigma_min", [0.0, 0.002, 0.5])
def test_consistency_as_published(sigma_min):
    """In VE coordinates: x' = f(x) + √(t'² - ε²) z."""
    levels = [80.0, 24.0, 3.0, 0.4]
    made = compile_plan(get_sampler("consistency", sigma_min=sigma_min), [*(Point(1.0, v) for v in levels), CLEAN])
    assert not made.a.any()
    assert made.b[:, 0] == pytest.approx(np.ones(4))
    assert made.c == pytest.approx([*np.sqrt(np.maximum(np.square(levels[1:]) - sigma_min**2, 0)), 0.0], rel=1e-12)
