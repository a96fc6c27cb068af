"""DPM-Solver++(2M), for the ODE and for the reverse SDE: rows as the paper writes them."""

from __future__ import annotations

from itertools import pairwise
from math import exp, expm1, sqrt

import numpy as np
import pytest

from dtool.certify import grids
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler
from tests.support.multistep import SEEDS, rows_on


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_of_2m_sde(seed):
    """a = σ'/σ·e^{-ηh}; b = α'E(1 + 1/2r), -α'E/2r, E = 1 - e^{-(1+η)h}; c = σ'√(1-e^{-2ηh}) (2211.01095, app. E)."""
    points, eta = grids.random_grid(7, seed, clean=True), 0.15 * (seed + 1)
    made = rows_on(f"dpmpp-2m-sde:eta={eta}", points)
    heun = rows_on(f"dpmpp-2m-sde:eta={eta},variant=heun", points)
    for i in range(1, 6):
        before, now, to = points[i - 1 : i + 2]
        h, r = to.lam - now.lam, (now.lam - before.lam) / (to.lam - now.lam)
        part = -expm1(-(1 + eta) * h)
        tilt = 1 - part / ((1 + eta) * h)
        assert made.a[i] == pytest.approx(to.sigma / now.sigma * exp(-eta * h), rel=1e-12)
        assert made.b[i] == pytest.approx([to.alpha * part * (1 + 1 / (2 * r)), -to.alpha * part / (2 * r)], rel=1e-9)
        assert heun.b[i] == pytest.approx([to.alpha * (part + tilt / r), -to.alpha * tilt / r], rel=1e-7)
        assert made.c[i] == pytest.approx(to.sigma * sqrt(1 - exp(-2 * eta * h)), rel=1e-9)
    assert (made.a[-1], made.b[-1].tolist(), made.c[-1]) == (0, [1, 0], 0)


def tables(first, second, points):
    """The rows of two rules on one grid, in the x0 form."""
    return [compile_plan(get_sampler(token), points, prediction="x0") for token in (first, second)]


def test_weights_of_2m_on_a_uniform_grid():
    """In λ, D = 3/2·x0 - 1/2·x0_before: b = α(1-e^{-h})·(3/2, -1/2) (arXiv:2211.01095, algorithm 2)."""
    points = grids.by_lam(20)
    made = compile_plan(get_sampler("dpmpp-2m"), points, prediction="x0")
    h = points[1].lam - points[0].lam
    for i, (now, to) in enumerate(pairwise(points)):
        weights = (1.5, -0.5) if i else (1.0, 0.0)
        assert made.b[i] == pytest.approx(np.multiply(-to.alpha * expm1(-h), weights), abs=1e-12)
        assert made.a[i] == pytest.approx(to.sigma / now.sigma, abs=1e-12)


def test_2m_starts_and_ends_as_ddim():
    points = grids.random_grid(5, 0, clean=True)
    two, one = tables("dpmpp-2m", "ddim", points)
    for i in (0, 4):
        assert two.a[i] == pytest.approx(one.a[i], abs=1e-12)
        assert two.b[i] == pytest.approx([one.b[i, 0], 0.0], abs=1e-12)
