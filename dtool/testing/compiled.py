"""The compiled table against the rule itself, run step by step on arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dtool.plan import compile as compile_plan
from dtool.plan import run_eager
from dtool.samplers.rule import Rule
from dtool.testing.grids import Grid
from dtool.testing.moments import moments
from dtool.testing.targets import THREE, Array, gaussian
from dtool.testing.walk import optimal, walk

BAR = 1e-9
_STD = 0.5


def difference(rule: Rule, points: Grid) -> float:
    """The largest difference at the end between the plan of `rule` and the rule run eagerly, relative to the data.

    It is relative to the largest weight too: where steps differ much, extrapolation multiplies rounding by its weights.

    Without noise: x itself, on a mixture of Gaussians. With noise: the variance of x for Gaussian data, since the
    table may draw its noise in another row than the rule asked for it.
    """
    made = compile_plan(rule, points, prediction="x0")
    if made.hash != compile_plan(rule, points, prediction="x0").hash:
        return float("inf")  # its coefficients depend on chance, or on what it has been called with before
    largest = max(1.0, float(np.abs(made.b).max()))
    if made.stochastic:
        off = float(moments(made, 0.0, _STD)[1][-1]) - _eager_variance(rule, points, made.rows)
        return abs(off) / (_STD * largest) ** 2
    x = np.linspace(-1.8, 1.8, 7) * THREE.std(points[0])
    stepped = run_eager(rule, points, THREE.eps, x)
    return float(np.abs(walk(made, optimal(THREE, made), x) - stepped).max()) / largest


def _eager_variance(rule: Rule, points: Grid, rows: int) -> float:
    """Var x at the end for data N(0, ¼): the network is linear, so x is carried as its coefficients of every noise."""
    law = gaussian(0.0, _STD)
    first = np.zeros(2 * rows + 2)
    first[-1] = law.std(points[0])
    x = run_eager(rule, points, law.eps, first, _unit_noises(first.size))
    return float(np.square(x).sum())


def _unit_noises(size: int) -> Callable[[int], Array]:
    """Noise i as a unit vector of its own; negative i count from the end."""
    return lambda i: np.eye(size)[i if i >= 0 else size - 2 + i]
