"""ER-SDE: integrals, noise, order."""

import numpy as np
import pytest

from dtool.certify import grids
from dtool.certify.moments import moments
from dtool.plan import Point, run_eager
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler


def phi(v, kind):
    return {"er": v * (np.exp(v**0.3) + 10), "sde": v**2, "ode": v}[kind]


@pytest.mark.parametrize("kind", ["er", "sde", "ode"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_er_sde_integrates_polynomials_exactly(kind, order):
    """x'/α' = r x/α + φ(v')∫ φ'/φ² x0(v) dv for an x0 that is a polynomial in v, the integral by a fine sum."""
    v = np.array([6.0, 5.0, 3.5, 2.0])
    points = [Point(0.8, 0.8 * value) for value in v]
    coefficients = np.array([0.3, -0.2, 0.1])[:order]

    def x0(at):
        return np.polyval(coefficients[::-1], at.v)

    def eps(x, at):
        return (x - at.alpha * x0(at)) / at.sigma

    x = run_eager(get_sampler("er-sde", order=order, phi=kind), points[:-1], eps, np.array([1.7]))
    rule = get_sampler("er-sde", order=order, phi=kind)
    seen = run_eager(rule, points, eps, np.array([1.7]))
    fine = np.linspace(v[3], v[2], 400_001)
    weight = (
        np.gradient(phi(fine, kind), fine, edge_order=2) / phi(fine, kind) ** 2 * np.polyval(coefficients[::-1], fine)
    )
    r = phi(v[3], kind) / phi(v[2], kind)
    wanted = 0.8 * (r * x / 0.8 + phi(v[3], kind) * np.trapezoid(weight, fine))
    assert seen == pytest.approx(wanted, rel=1e-7)


def test_er_sde_noise_and_its_names():
    points = grids.random_grid(8, 0, clean=True)
    made = compile_plan(get_sampler("er-sde"), points)
    v = np.array([p.v for p in points])
    r = phi(v[1:-1], "er") / phi(v[:-2], "er")
    alpha = np.array([p.alpha for p in points[1:-1]])
    assert made.c[:-1] == pytest.approx(alpha * np.sqrt(v[1:-1] ** 2 - (r * v[:-2]) ** 2), rel=1e-9)
    assert not compile_plan(get_sampler("er-sde:phi=ode"), points).stochastic


def test_er_sde_holds_at_huge_noise():
    made = compile_plan(get_sampler("er-sde"), [Point(1.0, v) for v in (1e12, 1e6, 10.0, 0.1)])
    assert np.isfinite(made.b).all()


@pytest.mark.parametrize("token", ["er-sde:phi=sde", "er-sde:phi=sde,order=2"])
def test_er_sde_is_of_weak_order_two_with_noise(token):
    def error(n):
        points = grids.by_lam(n)
        _, variances = moments(compile_plan(get_sampler(token), points, prediction="x0"), 0.2, 0.5)
        return abs(np.sqrt(variances[-1]) - np.hypot(0.5 * points[-1].alpha, points[-1].sigma))

    assert np.log2(error(512) / error(1024)) == pytest.approx(2, abs=0.1)
