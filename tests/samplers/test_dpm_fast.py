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


@pytest.mark.parametrize("token", ["dpm-fast", "dpmpp-singlestep:order=3"])
def test_groups_are_those_of_the_whole_grid(token):
    """Begun at the second step of a group, that group is one step short, and the next is a whole one."""
    points = by_lam(9)
    whole = compile_plan(get_sampler(token), points)
    late = compile_plan(get_sampler(token), points[4:], skipped=4)
    for name in ("a", "b"):
        assert getattr(late, name)[2:] == pytest.approx(getattr(whole, name)[6:], rel=1e-9)
    anew = compile_plan(get_sampler(token), points[4:])
    assert np.abs(anew.b[2:] - late.b[2:]).max() > 0.01


def test_a_last_step_of_order_1():
    points = by_lam(6)
    lower = compile_plan(get_sampler("dpm-fast:lower_order_final=last"), points)
    euler = compile_plan(get_sampler("euler"), points)
    assert lower.b[-1, 1:].tolist() == [0, 0]
    assert lower.a[-1] + lower.b[-1, 0] * lower.m_x[-1] == pytest.approx(euler.a[-1] + euler.b[-1, 0] * euler.m_x[-1])
