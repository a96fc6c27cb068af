"""The studentised bootstrap: intervals of means of few, skewed numbers. numpy only."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
from numpy.typing import NDArray

from dtool.util.arrays import Array

RESAMPLES = 2000
WIDEST = 4.0  # standard errors: few numbers can make the quantiles enormous, and say little by it


def root_mean_interval(values: Array, seed: int = 0) -> tuple[float | None, float | None]:
    """The 95 % interval of the root of the mean of `values` `(n,)`, none negative; (None, None) if n = 1.

    Studentised bootstrap (Efron and Tibshirani, 1993, section 12.5) of the mean's logarithm: squares are skewed, and
    percentiles of few of them are too narrow.
    """
    mean = float(values.mean())
    if len(values) < 2:
        return None, None
    if mean == 0 or values.std() <= 1e-12 * mean:
        return sqrt(mean), sqrt(mean)
    means, errors = resample_means(values, seed)
    good = errors > 0
    t = (np.log(means[good]) - log(mean)) / (errors[good] / means[good])
    error_of_log = float(values.std(ddof=1)) / sqrt(len(values)) / mean
    upper, lower = (log(mean) - quantile * error_of_log for quantile in _t_quantiles(t))
    return exp(lower / 2), exp(upper / 2)


def influence_interval(value: float, influence: Array, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of an estimate `value` whose error is the mean of `influence` `(n,)` less its own mean.

    n is at least 2. Influence i is how much observation i moves the estimate, times n. Studentised bootstrap.
    """
    spread = float(influence.std(ddof=1)) / sqrt(len(influence))
    if spread == 0:
        return value, value
    means, errors = resample_means(influence, seed)
    good = errors > 0
    t = (means[good] - influence.mean()) / errors[good]
    high, low = (value - float(quantile) * spread for quantile in _t_quantiles(t))
    return low, high


def resample_means(values: Array, seed: int) -> tuple[Array, Array]:
    """Mean and standard error of `RESAMPLES` draws of n from `values` `(n,)` with replacement."""
    n = len(values)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)
    means = counts @ values / n
    second = counts @ (values - values.mean()) ** 2 / n - (means - values.mean()) ** 2
    return means, np.sqrt(np.maximum(second, 0) / (n - 1))


def share_of_resamples_won(errors: NDArray[np.float64], index: int) -> float:
    """In which share of `RESAMPLES` resamples of the columns row `index` of `errors` `(k, n)` has the least mean."""
    n = errors.shape[1]
    chosen = np.random.default_rng(0).integers(0, n, (RESAMPLES, n))
    means = errors[:, chosen].mean(axis=2)
    return float((means.argmin(axis=0) == index).mean())


def _t_quantiles(t: Array) -> Array:
    """The quantiles of the studentised means that a 95 % interval is made of."""
    return np.clip(np.quantile(t, [0.025, 0.975]), -WIDEST, WIDEST)
