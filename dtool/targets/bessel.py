"""Modified Bessel functions of the first kind, as far as the sphere needs them; numpy only.

Miller's backward recurrence (Gautschi, SIAM Review 9, 1967) for I_{ν+1}/I_ν, begun at an order of at least 90 by
Debye's expansion in the order, which holds uniformly in the argument (NIST DLMF, 10.41.3).
"""

from __future__ import annotations

from math import lgamma, log, pi

import numpy as np
from numpy.typing import ArrayLike

from dtool.util.arrays import Array

_DEBYE_ORDER = 90  # the order from which on Debye's expansion is used

# DLMF 10.41.10: U_k(p) as coefficients of ascending powers of p.
_U = (
    np.array([1.0]),
    np.array([0, 3, 0, -5]) / 24,
    np.array([0, 0, 81, 0, -462, 0, 385]) / 1152,
    np.array([0, 0, 0, 30375, 0, -369603, 0, 765765, 0, -425425]) / 414720,
    np.array([0, 0, 0, 0, 4465125, 0, -94121676, 0, 349922430, 0, -446185740, 0, 185910725]) / 39813120,
)


def bessel(order: float, k: ArrayLike) -> tuple[Array, Array]:
    """(I_{ν+1}(k)/(k·I_ν(k)), log of Γ(ν+1)·(2/k)^ν·I_ν(k)·e^{-k}) for ν = `order` ≥ -1/2 and every k ≥ 0.

    Neither is singular: at k = 0 they are 1/(2(ν+1)) and 0; for large k the first goes as 1/k. Errors of about 1e-12.
    """
    k = np.asarray(k, dtype=np.float64)
    above = max(30, _DEBYE_ORDER - int(order))
    top = order + above
    start, next_one = _debye(top, k), _debye(top + 1, k)
    ratio = np.exp(next_one - start) / (2 * (top + 1))
    logarithm = start
    for lower in range(above - 1, -1, -1):
        order_below = order + lower
        ratio = 1 / (2 * (order_below + 1) + k**2 * ratio)
        logarithm = logarithm - np.log(2 * (order_below + 1) * ratio)
    return ratio, logarithm


def _debye(order: float, k: Array) -> Array:
    """log of Γ(ν+1)·(2/k)^ν·I_ν(k)·e^{-k} for a large order ν."""
    root = np.hypot(order, k)
    p = order / root
    series = sum(np.polynomial.polynomial.polyval(p, u) / order**i for i, u in enumerate(_U))
    power = order**2 / (root + k) - order * np.log((order + root) / 2)
    return np.asarray(lgamma(order + 1) + power - log(2 * pi * order) / 2 + np.log(p) / 2 + np.log(series))
