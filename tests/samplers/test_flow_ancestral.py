"""Ancestral sampling along a flow, in the flow's own coordinates."""

import pytest

from dtool.plan import CLEAN
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from tests.support.small_functions import falling, flow_points


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_flow_ancestral_in_the_flows_own_coordinates(eta, seed):
    """s_d = s'(1 + η(s'/s - 1)), κ = (1-s')/(1-s_d): x' = κ(s_d/s x + (1 - s_d/s) x0) + √(s'² - κ²s_d²) z."""
    times = falling(seed, 9)
    made = compile_plan(get_sampler("flow-ancestral", eta=eta), (*flow_points(times), CLEAN), prediction="flow")
    now, to = times[:-1], times[1:]
    down = to * (1 + eta * (to / now - 1))
    kappa = (1 - to) / (1 - down)
    assert made.a[:-1] == pytest.approx(kappa * down / now, rel=1e-9)
    assert made.b[:-1, 0] == pytest.approx(kappa * (1 - down / now), rel=1e-9)
    assert made.c[:-1] ** 2 == pytest.approx(to**2 - (kappa * down) ** 2, abs=1e-12)
    assert made.c[-1] == 0
