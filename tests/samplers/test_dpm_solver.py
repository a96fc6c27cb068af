"""DPM-Solver, multistep: polynomials in λ through the last predictions."""

from math import expm1

import pytest

from dtool.certify.grids import point_at_lam
from dtool.plan import run_eager
from dtool.samplers import get_sampler
from tests.support.linear_predictions import START, predict_noise, solve_noise
from tests.support.multistep import rows_on

POINTS = [point_at_lam(lam) for lam in (-1.3, -0.9, -0.2, 0.1, 0.8)]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_noise_that_is_a_polynomial_in_lambda_is_integrated_exactly(order):
    coefficients = (0.4, -0.9, 0.7)[:order]
    rule, network = get_sampler(f"dpm-solver:order={order}"), predict_noise(coefficients)
    before = run_eager(rule, POINTS[:-1], network, START)
    end = run_eager(rule, POINTS, network, START)
    assert end == pytest.approx(solve_noise(coefficients, before, *POINTS[-2:]), rel=1e-10)
    rough = run_eager(rule, POINTS, predict_noise((0.4, -0.9, 0.7, -0.5)[: order + 1]), START)
    assert rough != pytest.approx(end, rel=1e-3), "a degree more is another equation"


def test_the_midpoint_variant_holds_the_value_half_way():
    """ε(λ + h/2) = ε + h/2·(ε - ε_before)/(λ - λ_before), over the whole step."""
    made = rows_on("dpm-solver:order=2,variant=midpoint", POINTS)
    for i in (1, 2, 3):
        before, now, to = POINTS[i - 1 : i + 2]
        h = to.lam - now.lam
        beyond = h / (2 * (now.lam - before.lam))
        whole = -to.sigma * expm1(h)
        assert made.b[i] == pytest.approx([whole * (1 + beyond), -whole * beyond], rel=1e-9)
