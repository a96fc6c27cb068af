"""The best tables of one and of two calls for Gaussian data, without a network, a solver or a noise: plain formulas."""

from itertools import product

import numpy as np

from dtool.schedulers import get_scheduler

SCHEDULE = get_scheduler("linear")


def target_gains(variances):
    """What the ODE makes of each axis: x scales with its standard deviation down to the cleanest level, then x0."""
    alpha, sigma = SCHEDULE.alpha[0], SCHEDULE.sigma[0]
    alpha_t, sigma_t = SCHEDULE.alpha[-1], SCHEDULE.sigma[-1]
    carried = np.sqrt((alpha**2 * variances + sigma**2) / (alpha_t**2 * variances + sigma_t**2))
    return carried * alpha * variances / (alpha**2 * variances + sigma**2)


def noise_gain(lam, variances):
    """ε of a Gaussian axis is this times x."""
    alpha, sigma = 1 / np.sqrt(1 + np.exp(-2 * lam)), 1 / np.sqrt(1 + np.exp(2 * lam))
    return sigma / (alpha**2 * variances + sigma**2)


def solve(columns, target):
    """(weights, gains) by least squares over the axes, all of equal weight: noises of variance 1."""
    weights = np.linalg.lstsq(np.stack(columns, 1), target, rcond=None)[0]
    return weights, np.stack(columns, 1) @ weights


def one_call(lam, variances):
    """(error, row, gains) of the best row at one time."""
    target = target_gains(variances)
    row, gains = solve([np.ones_like(variances), noise_gain(lam, variances)], target)
    return np.sqrt(((gains - target) ** 2).mean()), row, gains


def two_calls(first, second, share, variances):
    """(error, gains) of the best last row, x in between being x + share·ε up to a factor that the last row undoes."""
    target, before = target_gains(variances), noise_gain(first, variances)
    between = 1 + share * before
    _, gains = solve([between, noise_gain(second, variances) * between, before], target)
    return np.sqrt(((gains - target) ** 2).mean()), gains


def minimise(function, start, width, shrinks=60):
    """The minimum of a function of few numbers near `start`: a pattern that shrinks where nothing is better."""
    best, least = np.array(start, float), function(start)
    width = np.array(width, float)
    steps = [np.array(step) for step in product((-1, 0, 1), repeat=len(best)) if any(step)]
    while shrinks:
        trials = [(function(best + width * step), step) for step in steps]
        value, step = min(trials, key=lambda one: one[0])
        if value < least:
            best, least = best + width * step, value
        else:
            width, shrinks = width / 2, shrinks - 1
    return best, least
