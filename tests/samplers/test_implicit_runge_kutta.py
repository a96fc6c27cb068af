"""Implicit methods in rounds: the order of each, by the conditions of rooted trees."""

import numpy as np

from dtool.samplers import get_sampler, implicit_runge_kutta
from dtool.samplers.engines.tableau import unroll
from tests.support.tableaux import as_arrays, conditions, recorded


def test_each_round_gains_an_order(monkeypatch):
    """Unrolled, it is an explicit method, up to the order of the equations that it never solves."""
    made = recorded(monkeypatch, implicit_runge_kutta, "implicit")
    assert [name for name, _ in made] == ["gauss-legendre", "radau-iia", "lobatto-iiia"]
    for name, given in made:
        for rounds in range(1, given["order"]):
            method = unroll(given["c"], given["a"], given["b"], rounds)
            a, b, c = as_arrays(method)
            assert np.abs(a.sum(1) - c).max() < 1e-15
            left = conditions(a, b, c)
            rule = get_sampler(name, rounds=rounds)
            assert (rule.order, rule.calls) == (rounds + 1, 1 + rounds * sum(part > 0 for part in given["c"]))
            assert max(abs(one) for order in range(1, rounds + 2) for one in left[order]) < 1e-15
            assert max(map(abs, left[rounds + 2])) > 1e-3, (name, rounds)
