"""Runge-Kutta methods as data: their order conditions, φ functions, and rounds."""

import itertools
from math import factorial

import numpy as np
import pytest
from scipy.integrate import quad

from dtool.plan import run_eager
from dtool.samplers import explicit_runge_kutta, exponential_runge_kutta, get_sampler, implicit_runge_kutta
from dtool.samplers.engines import tableau
from dtool.samplers.engines.tableau import Tableau, phi, unroll
from tests.support.two_gaussians import eps, posterior, ve


def recorded(monkeypatch, module, maker):
    """(name, order, what the method was made of) of each method of a module, which is run again."""
    import importlib

    made = []
    original = getattr(tableau, maker)
    monkeypatch.setattr(
        tableau, maker, lambda name, about, **given: made.append((name, given)) or original(name, about, **given)
    )
    importlib.reload(module)
    return made


def conditions(a, b, c):
    """What is left of the conditions of each order up to 4, by rooted trees (Butcher): {order: numbers}."""
    return {
        1: [b.sum() - 1],
        2: [b @ c - 1 / 2],
        3: [b @ c**2 - 1 / 3, b @ a @ c - 1 / 6],
        4: [b @ c**3 - 1 / 4, b @ (c * (a @ c)) - 1 / 8, b @ a @ c**2 - 1 / 12, b @ a @ a @ c - 1 / 24],
    }


def as_arrays(method):
    a = np.zeros((len(method.c),) * 2)
    for place, row in zip(a, method.a, strict=True):
        place[: len(row)] = row
    return a, np.array(method.b), np.array(method.c)


def test_the_conditions_of_the_declared_order_and_not_the_next(monkeypatch):
    made = recorded(monkeypatch, explicit_runge_kutta, "explicit")
    assert [name for name, _ in made] == ["ralston", "ssprk3", "rk4", "rk4-38"]
    for _, given in made:
        a, b, c = as_arrays(Tableau(given["c"], given["a"], given["b"]))
        assert np.abs(a.sum(1) - c).max() < 1e-15
        left = conditions(a, b, c)
        assert max(abs(one) for order in range(1, given["order"] + 1) for one in left[order]) < 1e-15
        if given["order"] < 4:
            assert max(map(abs, left[given["order"] + 1])) > 1e-3


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


@pytest.mark.parametrize("z", [-30.0, -3.0, -1.0001, -0.9999, -1e-9, 0.0, 0.5])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_phi_is_its_integral(k, z):
    value, _ = quad(lambda u: np.exp((1 - u) * z) * u ** (k - 1) / factorial(k - 1), 0, 1, epsabs=1e-14)
    assert phi(k, z) == pytest.approx(value, rel=1e-10)


@pytest.mark.parametrize("h", [1e-6, 0.1, 1.0, 5.0])
def test_exponential_methods_carry_a_constant_exactly(h, monkeypatch):
    """Row i adds to c_i·φ_1(-c_i·h), b to φ_1(-h); and to lowest order they are classical."""
    made = recorded(monkeypatch, exponential_runge_kutta, "exponential")
    assert [name for name, _ in made] == ["res-3s", "res-5s", "etdrk4"]
    for _, given in made:
        a, b = given["weights"](lambda k, part: phi(k, -part * h))
        for part, row in zip(given["c"], a, strict=True):
            assert sum(row) == pytest.approx(part * phi(1, -part * h) if row else 0, rel=1e-12)
        assert sum(b) == pytest.approx(phi(1, -h), rel=1e-12)
        if h == 1e-6:
            left = conditions(*as_arrays(Tableau(given["c"], a, b)))
            assert max(abs(one) for order in range(1, given["order"] + 1) for one in left[order]) < 1e-5


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
