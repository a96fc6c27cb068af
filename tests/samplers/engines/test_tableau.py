"""Runge-Kutta methods as data: their order conditions, and φ functions."""

import itertools
from math import factorial

import numpy as np
import pytest
from scipy.integrate import quad

from dtool.plan import run_eager
from dtool.samplers import explicit_runge_kutta, get_sampler
from dtool.samplers.engines.tableau import Tableau, phi
from tests.support.tableaux import as_arrays, conditions, recorded
from tests.support.two_gaussians import eps, posterior, ve


def test_the_conditions_of_the_declared_order_and_not_the_next(monkeypatch):
    made = recorded(monkeypatch, explicit_runge_kutta, "explicit")
    assert [name for name, _ in made] == ["ralston", "ssprk3", "rk4"]
    for _, given in made:
        a, b, c = as_arrays(Tableau(given["c"], given["a"], given["b"]))
        assert np.abs(a.sum(1) - c).max() < 1e-15
        left = conditions(a, b, c)
        assert max(abs(one) for order in range(1, given["order"] + 1) for one in left[order]) < 1e-15
        if given["order"] < 4:
            assert max(map(abs, left[given["order"] + 1])) > 1e-3


@pytest.mark.parametrize("z", [-30.0, -3.0, -1.0001, -0.9999, -1e-9, 0.0, 0.5])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_phi_is_its_integral(k, z):
    value, _ = quad(lambda u: np.exp((1 - u) * z) * u ** (k - 1) / factorial(k - 1), 0, 1, epsabs=1e-14)
    assert phi(k, z) == pytest.approx(value, rel=1e-10)


def test_rk4_is_its_loop():
    points = ve(5.0, 0.1, 9, bend=0.0)
    start = np.linspace(-5, 5, 7)
    x = start
    for now, to in itertools.pairwise(points):
        h, middle = to.v - now.v, (now.v + to.v) / 2
        k1 = posterior(x, now.v)
        k2 = posterior(x + h / 2 * k1, middle)
        k3 = posterior(x + h / 2 * k2, middle)
        k4 = posterior(x + h * k3, to.v)
        x = x + h * (k1 + 2 * k2 + 2 * k3 + k4) / 6
    np.testing.assert_allclose(run_eager(get_sampler("rk4"), points, eps, start), x, rtol=1e-12, atol=1e-12)
