"""iPNDM and PLMS: rows as the paper writes them, and the grids on which their weights are right."""

from __future__ import annotations

from itertools import pairwise
from math import log

import numpy as np
import pytest

from dtool.certify import grids, identities
from dtool.certify.grids import point_at_lam
from dtool.samplers import get_sampler
from tests.support.method_pairs import BAR, apart
from tests.support.multistep import SEEDS, rows_on


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_of_plms_and_ipndm(seed):
    """55, -59, 37, -9 over 24 of κ = σ' - σα'/α on the last four ε, whatever the grid (arXiv:2202.09778, eq. 12)."""
    points = grids.random_grid(8, seed, clean=False)
    known = [[1], [1.5, -0.5], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]]
    made = rows_on("ipndm", points)
    for i, (now, to) in enumerate(pairwise(points)):
        weights = np.pad(known[min(i, 3)], (0, max(3 - i, 0)))
        assert made.a[i] == pytest.approx(to.alpha / now.alpha, rel=1e-12)
        assert made.b[i] == pytest.approx((to.sigma - now.sigma * to.alpha / now.alpha) * weights, rel=1e-7, abs=1e-12)
    begun = rows_on("plms", points)
    assert begun.rows == made.rows + 1
    assert begun.b[2, [0, 2]] == pytest.approx(made.b[1, :2], rel=1e-7), "the stage is not part of the history"
    assert begun.b[5:, :4] == pytest.approx(made.b[4:], rel=1e-12)


def test_constant_weights_are_right_where_steps_are_equal_in_v():
    equal = tuple(point_at_lam(-log(v)) for v in np.linspace(20, 0.5, 12))
    assert identities.rule_distance(get_sampler("ipndm"), get_sampler("lms"), equal) < 1e-9
    assert identities.rule_distance(get_sampler("ipndm"), get_sampler("lms"), grids.by_lam(11)) > 1e-2


@pytest.mark.parametrize("order", [2, 3, 4])
def test_constant_weights_are_the_variable_ones_on_steps_equal_in_v(order):
    """iPNDM's weights of Adams and Bashforth are those of LMS, and of DEIS in ρ, where the steps are equal in σ/α."""
    equal = [grids.point_at_lam(-float(np.log(v))) for v in np.linspace(20, 0.5, 12)]
    assert apart(f"ipndm:order={order}", f"lms:order={order}", equal) < BAR
    assert apart(f"ipndm:order={order}", f"lms:order={order}", grids.by_lam(12)) > 1e-4
