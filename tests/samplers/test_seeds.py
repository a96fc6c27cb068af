"""SEEDS: the weight of the second stage, and the noise that both stages share."""

from math import exp, expm1

import numpy as np
import pytest

from dtool.certify.grids import point_at_lam
from dtool.plan import Point, run_eager
from dtool.samplers import get_sampler
from tests.support.linear_predictions import START, predict_image, solve_image

FAR, NEAR = Point(0.5, 0.8), Point(0.9, 0.3)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("r", [0.4, 1.0])
def test_exact_weights_integrate_an_x0_that_is_linear_in_lam(eta, r):
    """x' = σ'/σ·e^{-ηh}·x + α'(1+η) ∫ e^{(1+η)(l-λ')} x0(l) dl in the mean, the integral by a fine sum."""
    h = NEAR.lam - FAR.lam

    def x0(lam):
        return 0.3 - 0.7 * lam

    def eps(x, at):
        return (x - at.alpha * x0(at.lam)) / at.sigma

    rule = get_sampler("seeds-2", eta=eta, r=r, weights="exact", s_noise=0)
    found = run_eager(rule, [FAR, NEAR], eps, np.array([1.7]))
    fine = np.linspace(FAR.lam, NEAR.lam, 200_001)
    integral = np.trapezoid(np.exp((1 + eta) * (fine - NEAR.lam)) * x0(fine), fine)
    wanted = NEAR.sigma / FAR.sigma * np.exp(-eta * h) * 1.7 + NEAR.alpha * (1 + eta) * integral
    assert found == pytest.approx([wanted], rel=1e-8)


NOW, TO = point_at_lam(-0.8), point_at_lam(0.5)


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("token", ["seeds-2:weights=exact,r=0.3", "seeds-3:", "exp-heun-2:"])
def test_an_image_that_is_linear_in_lambda_is_integrated_exactly_in_the_mean(token, eta):
    rule = get_sampler(f"{token}{'' if token.endswith(':') else ','}eta={eta}")
    end = run_eager(rule, (NOW, TO), predict_image((0.4, -0.9)), START, lambda _: np.zeros(3))
    assert end == pytest.approx(solve_image((0.4, -0.9), START, NOW, TO, eta), rel=1e-11)


@pytest.mark.parametrize("eta", [0.6, 1.0])
@pytest.mark.parametrize("token", ["seeds-2:r=0.3", "seeds-3:s_noise=1", "exp-heun-2:s_noise=1"])
def test_all_noises_together_are_those_of_the_sde_on_one_path(token, eta):
    """Var x' = σ'²(1 - e^{-2ηh}) of an image that is known; and noise drawn up to a stage decays on the way from it."""
    calls = 3 if token.startswith("seeds-3") else 2
    seen = []

    def network(x, point):
        seen.append((point, x))
        return x / point.sigma  # x0 is 0 everywhere

    end = run_eager(get_sampler(f"{token},eta={eta}"), (NOW, TO), network, np.zeros(calls), lambda i: np.eye(calls)[i])
    assert np.square(end).sum() == pytest.approx(TO.sigma**2 * -expm1(-2 * eta * (TO.lam - NOW.lam)), rel=1e-12)
    for at, x in seen[1:calls]:
        decay = TO.sigma / at.sigma * exp(-eta * (TO.lam - at.lam))
        assert end @ x == pytest.approx(decay * x @ x, rel=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_the_second_stage_of_seeds_3_knows_the_slope_too(eta):
    seen = {}

    def network(x, point):
        seen[point.lam] = x
        return predict_image((0.4, -0.9))(x, point)

    run_eager(get_sampler(f"seeds-3:eta={eta}"), (NOW, TO), network, START, lambda _: np.zeros(3))
    later = point_at_lam(NOW.lam + 2 / 3 * (TO.lam - NOW.lam))
    x = seen[min(seen, key=lambda lam: abs(lam - later.lam))]
    assert x == pytest.approx(solve_image((0.4, -0.9), START, NOW, later, eta), rel=1e-11)
