"""The path of the ODE that a plan follows."""

import pytest

import dtool
from dtool.compare.ode_path import find_end
from dtool.plan import CLEAN, Point
from dtool.targets import target


def levels_of(net):
    """(the noisiest, the cleanest) level of a network's schedule."""
    alpha, sigma = net.schedule.alpha, net.schedule.sigma
    return Point(float(alpha[-1]), float(sigma[-1])), Point(float(alpha[0]), float(sigma[0]))


@pytest.mark.parametrize("place", ["trailing", "trailing:end=alpha_bar_0", "karras:end=sigma_min", "logsnr"])
@pytest.mark.parametrize("rule", ["ddim", "dpmpp-2m", "heun", "unipc", "deis", "dpm-solver-3s"])
@pytest.mark.parametrize("levels", ["linear", "edm", "flow"])
def test_the_end_of_a_plan_is_read_from_its_table(rule, place, levels):
    net = target("gaussian").network(levels)
    end = find_end(dtool.plan(f"{rule}/{place}", steps=9, network=net))
    wanted = levels_of(net)[1] if ":end" in place else CLEAN
    assert end.alpha == pytest.approx(wanted.alpha, rel=1e-9)
    assert end.sigma == pytest.approx(wanted.sigma, rel=1e-6)
