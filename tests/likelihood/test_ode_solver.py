"""The solvers of the ODE's likelihood, on an equation with a known solution."""

import numpy as np
import pytest

from dtool.likelihood.ode_solver import heun, rk45


def test_the_solvers_on_an_equation_with_a_known_solution():
    """y' = λy + the last entry's sum: orders 2 and 5, and the error within what was asked for."""
    rates = np.array([[-1.0, 0.5], [-3.0, 0.2], [0.3, -0.7]])

    def slope(y, at, place):
        inner = rates[place] * y[:, :-1] + np.cos(at)[:, None]
        return np.concatenate([inner, y[:, :-1].sum(axis=1, keepdims=True)], axis=1)

    start = np.ones((3, 3))
    best = rk45(slope, start, 0.0, 2.0, np.full(3, 1e-13), 1e-13)
    homogeneous = (1 + rates / (1 + rates**2)) * np.exp(2 * rates)
    exact = homogeneous + (np.sin(2) - rates * np.cos(2)) / (1 + rates**2)
    assert best[:, :2] == pytest.approx(exact, abs=1e-11)
    errors = [abs(heun(slope, start, 0.0, 2.0, n) - best).max() for n in (40, 80, 160)]
    assert np.log2(np.array(errors[:-1]) / errors[1:]) == pytest.approx(2, abs=0.1)
    for tolerance in (1e-4, 1e-7, 1e-10):
        solved_y = rk45(slope, start, 0.0, 2.0, np.full(3, tolerance), tolerance)
        assert abs(solved_y - best).max() < 50 * tolerance
        alone = rk45(
            lambda y, at, place: slope(y, at, place + 1), start[1:2], 0.0, 2.0, np.full(3, tolerance), tolerance
        )
        assert np.array_equal(alone[0], solved_y[1])  # every image chooses its own steps
