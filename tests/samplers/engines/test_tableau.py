"""Runge-Kutta methods as data: their order conditions, and φ functions."""

import itertools
from math import factorial

import numpy as np
import pytest
from scipy.integrate import quad

from dtool.plan import CLEAN, Point, run_eager
from dtool.plan import compile as compile_plan
from dtool.samplers import explicit_runge_kutta, get_sampler
from dtool.samplers.engines.tableau import Tableau, phi
from tests.support.tableaux import as_arrays, conditions, recorded
from tests.support.two_gaussians import eps, posterior, ve


def test_the_conditions_of_the_declared_order_and_not_the_next(monkeypatch):
    made = recorded(monkeypatch, explicit_runge_kutta, "explicit")
    assert [given["order"] for _, given in made] == [2, 3, 3, 3, 3, 4, 4, 5, 5]
    for name, given in made:
        a, b, c = as_arrays(Tableau(given["c"], given["a"], given["b"]))
        assert np.abs(a.sum(1) - c).max() < 1e-14, name
        left = conditions(a, b, c)
        assert max(abs(one) for order in range(1, given["order"] + 1) for one in left[order]) < 5e-15, name
        if given["order"] < 5:
            assert max(map(abs, left[given["order"] + 1])) > 1e-3, name


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


@pytest.mark.parametrize(
    "name", ["rk4-38", "dormand-prince", "tsitouras", "gauss-legendre", "radau-iia", "lobatto-iiia"]
)
def test_noise_is_carried_exactly_however_far_the_level_falls_in_a_step(name):
    """With a constant image x has σ of noise at every stage: in two steps from v = 1e4 to the image, too."""
    points = (Point(1e-4, 1.0), Point(1.0, 1e-2), CLEAN)
    plan = compile_plan(get_sampler(name), points, prediction="x0")
    noise = np.cumprod(np.append(1.0, plan.a))[:-1]
    np.testing.assert_allclose(noise, plan.sigma, rtol=1e-13)


def test_a_step_in_w_is_its_loop():
    """Radau IIA in rounds: y = x/σ against w = α/σ, where dy/dw = x0."""
    now, to = ve(5.0, 0.1, 1, bend=0.0)
    w, end, start = 1 / now.v, 1 / to.v, np.linspace(-5, 5, 7)

    def image(y, part):
        v = 1 / (w + part * (end - w))
        return y * v - v * posterior(y * v, v)

    y, step = start / now.v, end - w
    first = image(y, 0)
    k1, k2 = image(y + step / 3 * first, 1 / 3), image(y + step * first, 1)
    k1, k2 = image(y + step * (5 * k1 - k2) / 12, 1 / 3), image(y + step * (3 * k1 + k2) / 4, 1)
    expected = to.v * (y + step * (3 * k1 + k2) / 4)
    np.testing.assert_allclose(
        run_eager(get_sampler("radau-iia"), (now, to), eps, start), expected, rtol=1e-12, atol=1e-12
    )
