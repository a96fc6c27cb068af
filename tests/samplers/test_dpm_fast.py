"""DPM-Solver within a budget of network calls."""

import numpy as np
import pytest

from dtool.certify.grids import by_lam
from dtool.plan import compile as compile_plan
from dtool.plan import run_eager
from dtool.samplers import get_sampler
from tests.support.two_gaussians import eps, solved, ve


@pytest.mark.parametrize(("token", "whole"), [("dpm-fast", "dpm-solver-3s"), ("dpmpp-singlestep", "dpmpp-2s")])
def test_a_budget_is_spent_in_whole_steps(token, whole):
    """On levels that are even in λ, each group of calls is one step of the method that it is named after."""
    rule, method = get_sampler(token), get_sampler(whole)
    fine, x = by_lam(6 * rule.order), np.linspace(-9, 9, 7)
    assert run_eager(rule, fine, eps, x) == pytest.approx(run_eager(method, fine[:: rule.order], eps, x), rel=1e-12)
    assert compile_plan(rule, fine).rows == 6 * rule.order


@pytest.mark.parametrize(("rest", "order"), [(0, 3), (1, 2), (2, 3)])
def test_what_is_left_of_a_budget_costs_order(rest, order):
    """One call left over: a last step of order 1, whose error falls by h². Two: one of order 2, by h³."""
    x = np.linspace(-9, 9, 11)
    exact = solved(x, 6.0, 0.15)
    found = [
        np.abs(run_eager(get_sampler("dpm-fast"), ve(6.0, 0.15, n + rest), eps, x) - exact).max()
        for n in (120, 240, 480)
    ]
    assert np.diff(np.log2(found))[-1] == pytest.approx(-order, abs=0.25)
