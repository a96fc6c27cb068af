"""Schedules that spacings are tried on, and what their grids are measured by."""

from itertools import pairwise

import numpy as np

from dtool.plan import grid
from dtool.schedulers import get_scheduler
from dtool.spacings import get_spacing

LINEAR = get_scheduler("linear")

LATENT = get_scheduler("scaled-linear")

EDM = get_scheduler("edm")


def v_of(points):
    return np.array([p.v for p in points])


def levels(token, table, n):
    """σ/α where the steps begin and where the last ends."""
    return v_of(grid(table, get_spacing(token), n))


def downs(points):
    lam = [p.lam for p in points]
    return sum(b > a for a, b in pairwise(lam))


# Step counts at which np.arange(T, 0, -T/n) has one element too many, T = 1,000.
BAD = [n for n in range(1, 1001) if len(np.arange(1000, 0, -1000 / n)) != n]
