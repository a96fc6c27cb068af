"""How sure a share of n is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054  # the 97.5 % quantile of the normal law


def wilson_interval(p: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval (1927) of a share p of n: it has a width even where all agree, or none."""
    middle, spread = p + Z95**2 / (2 * n), Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n))
    low, high = ((middle + sign * spread) / (1 + Z95**2 / n) for sign in (-1, 1))
    return max(0.0, min(low, p)), min(1.0, max(high, p))


def paired_share_interval(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[float, float]:
    """The 95 % interval of the share of `one` less that of `other`, hits `(n,)` of the same n things.

    Newcombe's (1998, Statistics in Medicine 17:2635, method 10): Wilson's intervals of both, and the correlation of the
    pairs. Like those it has a width even where all agree, where a bootstrap has none.
    """
    n = len(one)
    p, q = float(np.mean(one)), float(np.mean(other))
    (low, high), (lower, upper) = wilson_interval(p, n), wilson_interval(q, n)
    spread = math.sqrt(p * (1 - p) * q * (1 - q))
    phi = (float(np.mean(one & other)) - p * q) / spread if spread > 0 else 0.0
    below = math.hypot(p - low, upper - q) ** 2 - 2 * phi * (p - low) * (upper - q)
    above = math.hypot(high - p, q - lower) ** 2 - 2 * phi * (high - p) * (q - lower)
    return p - q - math.sqrt(max(below, 0.0)), p - q + math.sqrt(max(above, 0.0))
