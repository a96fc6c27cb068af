"""Certificate 3, moments: a plan's exact mean and variance on Gaussian data, with no random numbers."""

from __future__ import annotations

from functools import cache

import numpy as np

from dtool.plan import Plan, Point
from dtool.plan import compile as compile_plan
from dtool.samplers.rule import Rule
from dtool.testing.grids import by_lam
from dtool.testing.result import largest
from dtool.testing.slopes import Slope, slope_of
from dtool.testing.targets import Array


def moments(plan: Plan, mean: float, std: float) -> tuple[Array, Array]:
    """(means, variances) of x, float64 `(rows + 1,)`: at every network call, stages included, and at the end.

    The data are N(mean, std²) and the network is the optimal one, which is affine, so the vector (x, saved x, history)
    stays Gaussian and its mean and covariance obey a linear recursion (Pierret and Galerne, arXiv:2405.14250, do this
    for whole images). The covariance is carried as R·Rᵀ, so that what cancels does so before it is squared.
    The start is the exact marginal. std = 0 holds x0 constant: `marginals` uses that.
    """
    size = plan.history + 2  # x, saved, H[0], H[1], …
    first = Point(float(plan.alpha[0]), float(plan.sigma[0]))
    centre, root = np.zeros(size), np.zeros((size, size))
    centre[0], root[0, 0] = first.alpha * mean, np.hypot(first.alpha * std, first.sigma)
    means, variances = [centre[0]], [root[0] @ root[0]]
    for i in range(plan.rows):
        step, shift = _row(plan, i, mean, std)
        centre, root = step @ centre + shift, step @ root
        if plan.c[i]:
            wide = np.vstack([root.T, plan.c[i] * np.eye(1, size)])
            root = np.asarray(np.linalg.qr(wide, mode="r")).T
        means.append(centre[0])
        variances.append(root[0] @ root[0])
    return np.array(means), np.array(variances)


def _row(plan: Plan, i: int, mean: float, std: float) -> tuple[Array, Array]:
    """Row i as an affine map (matrix, shift) of (x, saved, history)."""
    size = plan.history + 2
    alpha, sigma = plan.alpha[i], plan.sigma[i]
    power = (alpha * std) ** 2 + sigma**2
    if plan.images[i]:  # E[x0 | x]
        gain, offset = alpha * std**2 / power, mean * sigma**2 / power
    else:  # E[ε | x]
        gain, offset = sigma / power, -sigma * alpha * mean / power
    keep, offsets = np.zeros((size, size)), np.zeros(size)
    keep[0, 0] = 1.0
    keep[1, 0 if plan.save[i] else 1] = 1.0
    keep[2, 0], offsets[2] = gain, offset
    keep[3:, 2:-1] = np.eye(size - 3)
    update = np.eye(size)
    update[0] = [plan.a[i], plan.a_saved[i], *plan.b[i]]
    return update @ keep, update @ offsets


def weak_error(rule: Rule, n: int, shape: str = "uniform", mean: float = 0.2, std: float = 0.15) -> float:
    """The error of the mean or of the standard deviation at σ/α = 0.02 after `n` steps, whichever is larger."""
    points = by_lam(n, shape)
    means, variances = moments(compile_plan(rule, points, prediction="x0"), mean, std)
    end = points[-1]
    exact = np.hypot(end.alpha * std, end.sigma)
    return largest([float(abs(means[-1] - end.alpha * mean)), float(abs(np.sqrt(variances[-1]) - exact))])


@cache
def weak_slope(rule: Rule, shape: str = "uniform") -> Slope:
    """The order of `weak_error`: how fast the law of the samples converges as the steps double."""
    return slope_of(lambda n: weak_error(rule, n, shape))
