"""Implicit methods in rounds: the order of each, by the conditions of rooted trees."""

import numpy as np
import pytest

from dtool.samplers import get_sampler, implicit_runge_kutta
from dtool.samplers.engines.tableau import unroll
from tests.support.tableaux import as_arrays, conditions


@pytest.mark.parametrize("stages", [2, 3])
@pytest.mark.parametrize("rounds", [1, 2, 3, 4])
def test_each_round_gains_an_order(stages, rounds):
    """Unrolled, it is an explicit method; the collocation itself has order twice the stages."""
    method = unroll(*implicit_runge_kutta.GAUSS[stages], rounds)
    assert len(method.c) == 1 + stages * rounds
    a, b, c = as_arrays(method)
    assert np.abs(a.sum(1) - c).max() < 1e-15
    left = conditions(a, b, c)
    reached = min(2 * stages, rounds + 1)
    assert get_sampler("gauss-legendre", stages=str(stages), rounds=rounds).order == reached
    for order in range(1, min(reached, 4) + 1):
        assert max(map(abs, left[order])) < 1e-15
    if reached < 4:
        assert max(map(abs, left[reached + 1])) > 1e-3
