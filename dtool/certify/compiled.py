"""The compiled table against the rule itself, run step by step on arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dtool.certify.grids import Grid
from dtool.certify.laws import THREE_GAUSSIANS, UPPER_CLASS, gaussian, run_optimal_network
from dtool.certify.moments import moments
from dtool.plan import compile as compile_plan
from dtool.plan import run_eager
from dtool.samplers.rule import Rule
from dtool.util.arrays import Array

BAR = 1e-9
_STD = 0.5


def difference(rule: Rule, points: Grid) -> float:
    """The largest difference at the end between the plan of `rule` and the rule run eagerly, relative to the data.

    It is relative to the largest weight too: where steps differ much, extrapolation multiplies rounding by its weights.

    Without noise: x itself, on a mixture of Gaussians, guided towards a class of it where the rule looks at the
    prediction without the conditions. With noise: the variance of x for Gaussian data, since the
    table may draw its noise in another row than the rule asked for it.
    """
    plan = compile_plan(rule, points, prediction="x0")
    if plan.hash != compile_plan(rule, points, prediction="x0").hash:
        return float("inf")  # its coefficients depend on chance, or on what it has been called with before
    largest = max(1.0, float(np.abs(plan.b).max()))
    if plan.stochastic:
        error = float(moments(plan, 0.0, _STD)[1][-1]) - _eager_variance(rule, points, plan.rows)
        return abs(error) / (_STD * largest) ** 2
    x = np.linspace(-1.8, 1.8, 7) * THREE_GAUSSIANS.std(points[0])
    if plan.compares.any():
        from dtool.certify.guided import run_guided

        eager = run_eager(rule, points, UPPER_CLASS.eps, x, without=THREE_GAUSSIANS.eps)
        end = run_guided(plan, 1.0, x)
    else:
        eager, end = run_eager(rule, points, THREE_GAUSSIANS.eps, x), run_optimal_network(plan, THREE_GAUSSIANS, x)
    return float(np.abs(end - eager).max()) / largest


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
