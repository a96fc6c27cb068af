"""DPM-Solver++, single-step: its algorithm, what it integrates exactly, and its ancestral step."""

from math import exp, expm1, sqrt

import numpy as np
import pytest

from dtool.certify.grids import point_at_lam
from dtool.plan import run_eager
from dtool.samplers import get_sampler
from tests.support.linear_predictions import START, predict_image, solve_image
from tests.support.two_gaussians import eps, posterior

NOW, TO = point_at_lam(-0.8), point_at_lam(0.5)


@pytest.mark.parametrize("r", [0.3, 0.5, 1.0])
def test_dpmpp_2s_is_algorithm_1(r):
    """D = (1 - 1/2r)·x0 + 1/2r·x0(u), x' = σ'/σ·x - α'(e^{-h} - 1)·D (arXiv:2211.01095, algorithm 1)."""

    def image(x, at):
        return (x - at.sigma * posterior(x / at.alpha, at.v)) / at.alpha

    x, h = np.linspace(-2, 2, 5), TO.lam - NOW.lam
    at = point_at_lam(NOW.lam + r * h)
    u = at.sigma / NOW.sigma * x - at.alpha * (exp(-r * h) - 1) * image(x, NOW)
    mean = (1 - 1 / (2 * r)) * image(x, NOW) + image(u, at) / (2 * r)
    wanted = TO.sigma / NOW.sigma * x - TO.alpha * (exp(-h) - 1) * mean
    assert run_eager(get_sampler(f"dpmpp-2s:r={r}"), (NOW, TO), eps, x) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("token", ["dpmpp-2s:weights=exact,r=0.3", "dpmpp-2s:weights=exact,r=1", "dpmpp-3s"])
def test_an_image_that_is_linear_in_lambda_is_integrated_exactly(token):
    wanted = solve_image((0.4, -0.9), START, NOW, TO)
    end = run_eager(get_sampler(token), (NOW, TO), predict_image((0.4, -0.9)), START)
    assert end == pytest.approx(wanted, rel=1e-11)


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_ancestral_dpmpp_2s_ends_below_and_adds_noise(eta):
    """Of a constant image: σ_low/σ·(x - α·x0) + α'·x0 + up·z, with σ_low² + up² = σ'²."""
    up = min(TO.sigma, eta * TO.sigma * sqrt(-expm1(2 * (NOW.lam - TO.lam))))
    low = sqrt(TO.sigma**2 - up**2)
    end = run_eager(
        get_sampler(f"dpmpp-2s-ancestral:eta={eta}"), (NOW, TO), predict_image((0.6,)), START, lambda _: START[::-1]
    )
    wanted = TO.alpha * 0.6 + low / NOW.sigma * (START - NOW.alpha * 0.6) + up * START[::-1]
    assert end == pytest.approx(wanted, rel=1e-12)
