"""SA-Solver: the noise that it adds."""

from __future__ import annotations

from itertools import pairwise
from math import exp, sqrt

import pytest

from dtool.certify import grids
from tests.support.multistep import rows_on


def test_sa_solver_adds_the_noise_of_the_sde_of_strength_tau_squared():
    points = grids.random_grid(6, 0, clean=False)
    made = rows_on("sa-solver:tau=0.6", points)
    wanted = [to.sigma * sqrt(1 - exp(-2 * 0.36 * (to.lam - now.lam))) for now, to in pairwise(points)]
    assert made.c == pytest.approx(wanted, rel=1e-9)
