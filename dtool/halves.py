"""How much a statistic of samples varies, from the samples alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def spread(statistic: Callable[[NDArray[Any]], float], samples: NDArray[Any], times: int) -> float:
    """The standard deviation of `statistic(samples)`, from `times` random halves of the samples, `(n, …)`.

    Halves without replacement vary among themselves as much as the whole does from draw to draw.
    """
    random = np.random.default_rng(0)
    found = [statistic(samples[random.permutation(len(samples))[::2]]) for _ in range(times)]
    return float(np.std(found, ddof=1))
