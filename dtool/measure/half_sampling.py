"""How much a statistic of samples varies, from random halves of the samples alone.

Halves without replacement vary among themselves as much as the whole does from draw to draw.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.measure.share import wilson_interval
from dtool.util.arrays import Array


def half_sampling_std(statistic: Callable[[NDArray[Any]], float], samples: NDArray[Any], times: int) -> float:
    """The standard deviation of `statistic(samples)`, from `times` random halves of the samples, `(n, …)`."""
    random = np.random.default_rng(0)
    values = [statistic(samples[random.permutation(len(samples))[::2]]) for _ in range(times)]
    return float(np.std(values, ddof=1))


def draw_halves(random: np.random.Generator, start: int, count: int, total: int, times: int) -> NDArray[np.bool_]:
    """`times` random halves of `count` points from `start` on: masks (times, total). Odd counts are rounded in turn."""
    masks = np.zeros((times, total), dtype=bool)
    for row in range(times):
        size = (count + row % 2) // 2
        masks[row, start + random.permutation(count)[:size]] = True
    return masks


def recentred_interval(values: Array, value: float, count: int | None = None) -> tuple[float, float]:
    """The 2.5% and 97.5% quantiles of `values`, those of random halves, moved so that their mean is `value`.

    count: `value` is a share of so many. The interval then keeps to 0 … 1, and is at least as wide as Wilson's, since
    near 0 or 1 halves are too much like each other.
    """
    low, high = (value + np.quantile(values, (0.025, 0.975)) - values.mean()).tolist()
    low, high = min(low, value), max(high, value)
    if count is not None:
        least, most = wilson_interval(value, count)
        low, high = max(0.0, min(low, least)), min(1.0, max(high, most))
    return low, high
