"""Gradient estimation: rows as the paper writes them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from dtool.certify import grids
from tests.support.multistep import rows_on


@pytest.mark.parametrize("gamma", [1.0, 1.3, 2.0])
def test_rows_of_gradient_estimation(gamma):
    points = grids.random_grid(5, 3, clean=True)
    made = rows_on(f"gradient-estimation:gamma={gamma}", points)
    for i, (now, to) in enumerate(pairwise(points[1:]), start=1):
        weights = (np.array([gamma, 1 - gamma]) * to.alpha * (to.v - now.v))[: made.history]
        assert made.b[i] == pytest.approx(weights, rel=1e-7)


def test_the_last_step_may_be_eulers():
    points = grids.random_grid(5, 3, clean=True)
    first, second = (rows_on(f"gradient-estimation{options}", points) for options in ("", ":last=euler"))
    assert (first.b[:-1] == second.b[:-1]).all()
    assert second.b[-1].tolist() == [pytest.approx(-points[-2].sigma / points[-2].alpha), 0]
    assert first.b[-1, 1] > 0
