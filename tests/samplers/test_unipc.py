"""UniPC: rows as the paper writes them."""

from __future__ import annotations

from math import expm1

import numpy as np
import pytest

from dtool.certify import grids
from tests.support.multistep import SEEDS, rows_on


@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("seed", SEEDS)
def test_rows_of_unipc_2(seed, variant):
    """The paper's own coefficients ρ and B(h), corrector and predictor fused into one row (arXiv:2302.04867)."""
    points = grids.random_grid(6, seed, clean=False)
    made = rows_on(f"unipc:variant={variant}", points)
    for i in range(2, 6):
        older, last, now, to = points[i - 2 : i + 2]
        h0, h = now.lam - last.lam, to.lam - now.lam
        rk, r = (older.lam - last.lam) / h0, h0 / h
        p1 = expm1(-h0) / -h0 - 1
        p2 = p1 / -h0 - 0.5
        size = {"bh1": -h0, "bh2": expm1(-h0)}[variant]
        rho = np.linalg.solve([[1, 1], [rk, 1]], [p1 / size, 2 * p2 / size])  # of the old node, and of the new one
        step = to.sigma / now.sigma
        base = -step * now.alpha * size
        reach = -to.alpha * {"bh1": -h, "bh2": expm1(-h)}[variant] / (2 * r)
        newest = base * rho[1] - to.alpha * expm1(-h) + reach
        oldest = base * (rho[0] - 0.5) / rk
        assert made.a[i] == pytest.approx(step, rel=1e-12)
        assert made.b[i] == pytest.approx([newest, -base * rho[1] - oldest - reach, oldest], rel=1e-6, abs=1e-9)
