"""Implicit methods in rounds: the order of each, by the conditions of rooted trees."""

import numpy as np
import pytest

from dtool.samplers import get_sampler, implicit_runge_kutta
from dtool.samplers.engines.tableau import unroll
from tests.support.tableaux import as_arrays, conditions


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_each_round_gains_an_order(rounds):
    """Unrolled, it is an explicit method; the collocation itself is of order 4."""
    method = unroll(implicit_runge_kutta._NODES, implicit_runge_kutta._WEIGHTS, (1 / 2, 1 / 2), rounds)
    assert len(method.c) == 1 + 2 * rounds
    a, b, c = as_arrays(method)
    assert np.abs(a.sum(1) - c).max() < 1e-15
    left = conditions(a, b, c)
    assert get_sampler("gauss-legendre", rounds=rounds).order == rounds + 1
    for order in range(1, rounds + 2):
        assert max(map(abs, left[order])) < 1e-15
    if rounds < 3:
        assert max(map(abs, left[rounds + 2])) > 1e-3
