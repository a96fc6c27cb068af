"""Runge-Kutta steps: orders by an arithmetic of its own, stages, calls, ends."""

from itertools import pairwise
from math import log, log1p

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from dtool.certify.grids import point_at_lam, random_grid
from dtool.plan import CLEAN, Point, run_eager
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from dtool.samplers.engines.runge_kutta import kernel_mean, point_at
from tests.support.two_gaussians import DETERMINISTIC, STOCHASTIC, density, eps, solved, ve


@pytest.mark.parametrize(("token", "order"), DETERMINISTIC.items())
def test_the_error_falls_at_the_declared_order(token, order):
    rule, start = get_sampler(token), np.linspace(-9, 9, 11)
    exact = solved(start, 6.0, 0.15)
    found = [np.abs(run_eager(rule, ve(6.0, 0.15, n), eps, start) - exact).max() for n in (60, 120, 240)]
    slopes = -np.diff(np.log2(found))
    assert rule.order == order
    assert slopes[-1] == pytest.approx(order, abs=0.2), slopes


def weak_error(rule, n, first=1.2, last=0.6):
    """|E φ(x) - exact| at the end for φ = 1/(1 + x²): the backward recursion of the chain, with no random numbers.

    Every interval's function of x is on a fine grid, and the noises of its calls are integrated by Gauss and Hermite.
    """
    x = np.linspace(-10, 10, 401)
    calls = rule.calls
    roots, masses = np.polynomial.hermite_e.hermegauss(7 if calls == 3 else 9)
    z = np.meshgrid(*[roots] * calls, indexing="ij")
    mass = np.prod(np.meshgrid(*[masses / masses.sum()] * calls, indexing="ij"), axis=0).ravel()
    z = [one.ravel()[None, :] for one in z]
    points = ve(first, last, n, bend=0.0)
    value = 1 / (1 + x * x)
    exact = np.trapezoid(density(x, last) * value, x)
    for now, to in reversed(list(pairwise(points))):
        after = run_eager(rule, (now, to), eps, np.repeat(x[:, None], mass.size, axis=1), lambda i: z[i])
        value = CubicSpline(x, value)(np.clip(after, x[0], x[-1])) @ mass
    return abs(np.trapezoid(density(x, first) * value, x) - exact)


@pytest.mark.parametrize(("token", "order"), STOCHASTIC.items())
def test_the_weak_order_holds_where_the_network_is_not_linear(token, order):
    rule = get_sampler(token)
    steps = (16, 24) if rule.calls == 3 else (8, 16)
    found = [weak_error(rule, n) for n in steps]
    assert rule.order == order
    assert np.log(found[0] / found[1]) / np.log(steps[1] / steps[0]) == pytest.approx(order, abs=0.2), found


@pytest.mark.parametrize("token", [t for t in (*DETERMINISTIC, *STOCHASTIC) if t != "heunpp2"])
@pytest.mark.parametrize("seed", range(2))
def test_stages_lie_inside_their_interval_and_calls_are_as_stated(token, seed):
    rule, points = get_sampler(token), random_grid(6, seed, clean=True)
    made = compile_plan(rule, points, prediction="x0")
    lam = np.log(made.alpha / made.sigma)
    first, rows = 0, np.flatnonzero(made.step_end)
    assert len(rows) == 6
    for i, last in enumerate(rows):
        assert last - first + 1 == (rule.calls if i < 5 else 1)
        assert lam[first] == pytest.approx(points[i].lam)
        # An ancestral step goes on below its end, η = 1 by as much again; churn by at most ln √2.
        h = points[i + 1].lam - points[i].lam
        beyond = 0 if token in DETERMINISTIC or "seeds" in token else max(h, log(2) / 2)
        stages = lam[first + 1 : last + 1]
        assert (stages > points[i].lam).all()
        assert (stages <= points[i + 1].lam + beyond + 1e-9).all()
        assert np.hypot(made.alpha, made.sigma) == pytest.approx(np.ones(made.rows)), "VP stays VP"
        first = last + 1


@pytest.mark.parametrize("token", [*DETERMINISTIC, *STOCHASTIC])
@pytest.mark.parametrize("first", [Point(0.0, 1.0), point_at_lam(-9.0)])
def test_the_ends_are_steps_of_order_one(token, first):
    """From no signal at all, and to the image, there is one call, and what comes out is finite."""
    rule, x = get_sampler(token), np.linspace(-1, 1, 5)
    made = compile_plan(rule, (first, point_at_lam(0.0), CLEAN), prediction="x0")
    assert np.isfinite(made.b).all()
    assert made.rows == (2 if first.alpha == 0 else rule.calls + 1)
    if first.alpha > 0:
        assert np.isfinite(run_eager(rule, (first, point_at_lam(0.0), CLEAN), eps, x)).all()
    only = compile_plan(rule, (first, CLEAN), prediction="x0")
    assert (only.rows, only.a[0], only.b[0, 0], only.c[0]) == (1, 0.0, 1.0, 0.0)


def test_lean_is_the_mean_under_an_exponential():
    roots, masses = np.polynomial.legendre.leggauss(60)
    u = (roots + 1) / 2
    for y in (-40, -3.0, -0.051, -0.049, -1e-9, 0.0, 1e-4, 0.049, 0.051, 2.0, 30.0):
        kernel = masses * np.exp(-y * u)
        assert kernel_mean(y) == pytest.approx((kernel * u).sum() / kernel.sum(), abs=1e-13)
    assert kernel_mean(800.0) == pytest.approx(1 / 800)
    assert kernel_mean(-800.0) == pytest.approx(1 - 1 / 800)


def test_a_level_between_two_keeps_the_scale_that_they_have():
    from dtool.plan.point import Node

    now, to = Node(Point(1.0, 9.0), x=0.0, x0=0.0), Point(1.0, 3.0)
    between = point_at(now, to, -log(5.0))
    assert between.v == pytest.approx(5.0)
    assert between.alpha == pytest.approx(1.0, rel=0.02)
    assert point_at(now, to, -log(3.0) + log1p(0.5)).lam == pytest.approx(-log(2.0))
    assert np.isnan(between.t)
