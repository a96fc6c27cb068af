"""Nodes of a multistep method at chosen levels, and the integrals that its weights must be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.integrate import quad

from dtool.certify.grids import point_at_lam
from dtool.plan import Node
from dtool.plan import compile as compile_plan
from dtool.samplers import get_sampler

SEEDS = range(6)


def nodes_at(lams):
    """`now` and what is before it, newest first, at these λ."""
    found = [Node(point_at_lam(lam), 0.0, x0=0.0, eps=0.0) for lam in lams]
    for node, before in pairwise(found):
        node.before = before
    return found


def random_nodes(seed, count):
    """`count` nodes, newest first, and the point to go to: steps in λ from 0.05 to 1.2."""
    rng = np.random.default_rng(seed)
    lams = rng.uniform(-3, 3) - np.cumsum([0, *rng.uniform(0.05, 1.2, count - 1)])
    return nodes_at(lams.tolist()), point_at_lam(float(lams[0] + rng.uniform(0.05, 1.2)))


def integrals(kernel, places, low, high):
    """∫ kernel·L_k over [low, high] for the Lagrange polynomials of `places`."""

    def basis(k, u):
        return np.prod([(u - p) / (places[k] - p) for j, p in enumerate(places) if j != k])

    precise = {"epsabs": 1e-13, "epsrel": 1e-13, "limit": 200}
    return [quad(lambda u, k=k: kernel(u) * basis(k, u), low, high, **precise)[0] for k in range(len(places))]


def rows_on(token, points):
    return compile_plan(get_sampler(token), points, prediction="x0")
