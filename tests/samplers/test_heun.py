"""Heun's method as numbers."""

import pytest

from dtool.certify import grids
from dtool.plan import Node
from dtool.samplers import get_sampler


def test_heun_is_the_trapezoid_rule():
    """x̄' = x̄ + (v'-v)(ε + ε')/2 in x̄ = x/α; here with numbers for x, ε and ε'."""
    now, to = grids.point_at_lam(-0.4), grids.point_at_lam(0.7)
    steps = get_sampler("heun").step(Node(now, 0.8, eps=0.3), to)
    guess, where = next(steps)
    assert where == to
    assert guess / to.alpha == pytest.approx(0.8 / now.alpha + (to.v - now.v) * 0.3)
    with pytest.raises(StopIteration) as stop:
        steps.send(Node(to, guess, eps=0.5))
    assert stop.value.value / to.alpha == pytest.approx(0.8 / now.alpha + (to.v - now.v) * (0.3 + 0.5) / 2)
