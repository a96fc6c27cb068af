"""DPM-Solver, single-step: its algorithm, and what it integrates exactly."""

from math import expm1

import numpy as np
import pytest

from dtool.certify.grids import point_at_lam
from dtool.plan import run_eager
from dtool.samplers import get_sampler
from tests.support.linear_predictions import START, predict_noise, solve_noise
from tests.support.two_gaussians import eps

NOW, TO = point_at_lam(-0.8), point_at_lam(0.5)


@pytest.mark.parametrize("r", [0.3, 0.5, 1.0])
def test_dpm_solver_2s_is_algorithm_4(r):
    """x' = α'/α·x - σ'(e^h - 1)·(ε + (ε(u) - ε)/2r) (arXiv:2206.00927, algorithm 4)."""
    x, h = np.linspace(-2, 2, 5), TO.lam - NOW.lam
    at = point_at_lam(NOW.lam + r * h)
    first = eps(x, NOW)
    u = at.alpha / NOW.alpha * x - at.sigma * expm1(r * h) * first
    wanted = TO.alpha / NOW.alpha * x - TO.sigma * expm1(h) * (first + (eps(u, at) - first) / (2 * r))
    assert run_eager(get_sampler(f"dpm-solver-2s:r={r}"), (NOW, TO), eps, x) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("token", ["dpm-solver-2s:weights=exact,r=0.3", "dpm-solver-2s:weights=exact", "dpm-solver-3s"])
def test_noise_that_is_linear_in_lambda_is_integrated_exactly(token):
    wanted = solve_noise((0.4, -0.9), START, NOW, TO)
    end = run_eager(get_sampler(token), (NOW, TO), predict_noise((0.4, -0.9)), START)
    assert end == pytest.approx(wanted, rel=1e-11)
