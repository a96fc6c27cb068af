"""Certificate 3, moments: a plan's exact mean and variance on Gaussian data, with no random numbers."""

from __future__ import annotations

from functools import cache

import numpy as np

from dtool.certify.grids import by_lam
from dtool.certify.result import largest
from dtool.certify.slopes import Slope, converged_slope, extrapolate_slope
from dtool.plan import Plan
from dtool.plan import compile as compile_plan
from dtool.plan.reference import Answer, iterate_states
from dtool.samplers.rule import Rule
from dtool.util.arrays import Array


def moments(plan: Plan, mean: float, std: float) -> tuple[Array, Array]:
    """(means, variances) of x, float64 `(rows + 1,)`: at every network call, stages included, and at the end.

    The data are N(mean, std²) and the network is the optimal one, which is affine (Pierret and Galerne,
    arXiv:2405.14250, do this for whole images), so every x is a constant plus a linear form in the noise of the start
    and of each row: the plan's rows carry its coefficients, and their squares are added up last, so that what cancels
    does so before it is squared.
    The start is the exact marginal. std = 0 holds x0 constant: `marginals` uses that.
    """
    place = 1 + np.cumsum(plan.c != 0)  # of a row's noise among the coefficients; 0 is the constant, 1 the start
    start = np.zeros(plan.draws + 2)
    start[0], start[1] = plan.alpha[0] * mean, np.hypot(plan.alpha[0] * std, plan.sigma[0])
    gain, offset = _affine_network(plan, mean, std)

    def ask(x: Array, i: int) -> Answer:
        entry = gain[i] * x
        entry[0] += offset[i]
        return Answer(entry)

    def noise(i: int) -> Array:
        unit = np.zeros(start.size)
        unit[place[i]] = 1.0
        return unit

    pairs = [(x[0], np.square(x[1:]).sum()) for x in iterate_states(plan, ask, start, noise)]
    means, variances = np.array(pairs).T
    return means, variances


def _affine_network(plan: Plan, mean: float, std: float) -> tuple[Array, Array]:
    """(gain, offset) `(rows,)` of the optimal network's entry, gain·x + offset: E[x0 | x], or E[ε | x]."""
    alpha, sigma = plan.alpha, plan.sigma
    power = (alpha * std) ** 2 + sigma**2
    gain = np.where(plan.images, alpha * std**2, sigma) / power
    return gain, np.where(plan.images, mean * sigma**2, -sigma * alpha * mean) / power


def weak_error(rule: Rule, n: int, shape: str = "uniform", mean: float = 0.2, std: float = 0.15) -> float:
    """The error of the mean or of the standard deviation at σ/α = 0.02 after `n` steps, whichever is larger."""
    points = by_lam(n, shape)
    means, variances = moments(compile_plan(rule, points, prediction="x0"), mean, std)
    end = points[-1]
    exact = np.hypot(end.alpha * std, end.sigma)
    return largest([float(abs(means[-1] - end.alpha * mean)), float(abs(np.sqrt(variances[-1]) - exact))])


@cache
def weak_limit(rule: Rule, shape: str = "uniform") -> float:
    """The order that the slopes of `weak_error` tend to, NaN if they do not settle: see `extrapolate_slope`."""
    return extrapolate_slope(lambda n: weak_error(rule, n, shape))


@cache
def weak_slope(rule: Rule, shape: str = "uniform") -> Slope:
    """The order of `weak_error`: how fast the law of the samples converges as the steps double."""
    return converged_slope(lambda n: weak_error(rule, n, shape))
