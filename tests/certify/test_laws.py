"""The laws in closed form: their network, and the exact solution of their ODE."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import norm

from dtool.certify import grids
from dtool.certify.laws import THREE_GAUSSIANS, gaussian
from dtool.plan import Point


def density(x, at):
    scale = np.hypot(at.alpha * np.array(THREE_GAUSSIANS.stds), at.sigma)
    return norm.pdf(x[:, None], at.alpha * np.array(THREE_GAUSSIANS.means), scale) @ THREE_GAUSSIANS.weights


@pytest.mark.parametrize("lam", [-3.0, -0.5, 1.0, 3.0])
def test_the_closed_form_network_is_the_score(lam):
    point = grids.point_at_lam(lam)
    x = np.linspace(-2, 2, 41) * THREE_GAUSSIANS.std(point)
    step = 1e-5 * THREE_GAUSSIANS.std(point)
    score = (np.log(density(x + step, point)) - np.log(density(x - step, point))) / (2 * step)
    assert THREE_GAUSSIANS.eps(x, point) == pytest.approx(-point.sigma * score, abs=1e-7)
    assert point.alpha * THREE_GAUSSIANS.x0(x, point) + point.sigma * THREE_GAUSSIANS.eps(x, point) == pytest.approx(
        x, abs=1e-12
    )


def test_the_exact_end_is_that_of_a_fine_solver():
    start, end = grids.point_at_lam(-2.5), grids.point_at_lam(2.0)
    x = np.array([-1.7, -0.2, 0.4, 2.0])
    field = lambda v, y: THREE_GAUSSIANS.eps(y, Point(1.0, float(v)))  # noqa: E731
    fine = solve_ivp(field, (start.v, end.v), x / start.alpha, method="DOP853", rtol=1e-12, atol=1e-13)
    assert THREE_GAUSSIANS.transport(x, start, end) == pytest.approx(fine.y[:, -1] * end.alpha, abs=1e-9)


def test_the_exact_end_on_a_gaussian_is_linear():
    start, end, law = grids.point_at_lam(-2.0), grids.point_at_lam(1.0), gaussian(0.3, 0.6)
    x = np.linspace(-3, 3, 9)
    expected = end.alpha * 0.3 + law.std(end) / law.std(start) * (x - start.alpha * 0.3)
    assert law.transport(x, start, end) == pytest.approx(expected, abs=1e-12)
