"""Sets of points for the tests of metrics, and the U-statistic as its definition says it."""

from __future__ import annotations

import numpy as np
from scipy import stats

RUNS, SPREAD = 200, np.array([1.0, 2.0, 0.5])


def draw_sets(seed, n=40, m=55, d=4, shift=0.3):
    """Two sets of points, (n, d) and (m, d), of one covariance and `shift` apart."""
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((d, d))
    return random.standard_normal((n, d)) @ mixed + shift, random.standard_normal((m, d)) @ mixed


def u_statistic_by_definition(kernel, x, y):
    """The U-statistic, as its definition says it: distinct points alone."""
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    n, m = xy.shape
    return (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean()


def draw_gaussians(seed, *counts):
    """Sets of so many points each, (count, 3), of one Gaussian with the standard deviations `SPREAD`."""
    random = np.random.default_rng([seed, 11])
    return [random.standard_normal((count, 3)) * SPREAD for count in counts]


def is_within_chance(rate, wanted, runs=RUNS):
    """Whether a rate is one that chance gives to what happens with probability `wanted`, but for one time in 1000."""
    low, high = stats.binom.ppf([0.0005, 0.9995], runs, wanted) / runs
    return low <= rate <= high
