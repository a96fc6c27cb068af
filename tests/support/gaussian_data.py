"""Exact networks of Gaussian data, and what is known of their variances."""

from __future__ import annotations

import numpy as np

import dtool
from dtool.samplers.engines.variance_statistics import VarianceStatistics

LINEAR = dtool.get_scheduler("linear")


def gaussian_network(variance=0.25, shape=(4,), prediction="eps", schedule="linear", mean=0.0, **more):
    """The exact network for data N(mean, variance I)."""
    levels = dtool.get_scheduler(schedule)

    def fn(x, t):
        alpha, sigma = (v.reshape(-1, *(1 for _ in shape)) for v in levels.level(np.clip(t, 0, levels.T - 1)))
        off = (x - alpha * mean) / (alpha**2 * variance + sigma**2)
        eps, x0 = sigma * off, mean + alpha * variance * off
        power = alpha**2 + sigma**2
        return {"eps": eps, "x0": x0, "v": (alpha * eps - sigma * x0) / np.sqrt(power), "flow": eps - x0}[prediction]

    return dtool.network(fn, shape=shape, schedule=schedule, prediction=prediction, **more)


def exact_statistics(variance, schedule=LINEAR):
    """What measure_variance would find of the exact network, with no error, at every level."""
    lam = schedule.lam[::-1][np.isfinite(schedule.lam[::-1])]
    unknown = variance / (1 + variance * np.exp(2 * lam))
    return VarianceStatistics(lam, np.exp(2 * lam) * unknown, 1e9, 1)


def corners(variance, steps, mean=0.0):
    """An image and noise whose moments up to the second are exactly the law's: a bound of theirs is the expectation."""
    x = mean + np.sqrt(variance) * np.array([[1.0, 1, -1, -1]])
    return x, np.tile(np.array([1.0, -1, 1, -1]), (steps, 1, 1))
