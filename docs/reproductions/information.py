"""What each schedule leaves of an image, level by level, on a law whose densities are exact."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from dtool.plan import Point
from dtool.schedulers import get_scheduler
from dtool.schedulers.schedule import Schedule
from dtool.targets import target

NAMES = ("linear", "cosine", "sigmoid")
LAW, GROUPS = "digits-gmm", 6
SHARES = np.linspace(0, 1, 21)  # of the way from t = 0 to T - 1
GONE = 0.05  # bits below this share of all there are count as none


@dataclass(frozen=True)
class Fall:
    """What a schedule leaves at each of SHARES: bits on the class, and the unknown share of the variance; (n, k)."""

    bits: NDArray[np.float64]
    unknown: NDArray[np.float64]
    log_snr: NDArray[np.float64]

    def until(self, left: float) -> NDArray[np.float64]:
        """The share of the chain after which this share of the bits is left, group by group (GROUPS,)."""
        curves = [part.mean(axis=0) for part in np.array_split(self.bits, GROUPS)]
        return np.array([_crossing(curve, left) for curve in curves])

    @property
    def half(self) -> NDArray[np.float64]:
        """The share of the chain after which half of the bits are gone, group by group."""
        return self.until(0.5)

    @property
    def idle(self) -> NDArray[np.float64]:
        """The share of the chain, at its end, where nearly no bits are left, group by group."""
        return 1 - self.until(GONE)


def _crossing(curve: NDArray[np.float64], left: float) -> float:
    """Where a curve first falls below a share of where it began, between SHARES in a straight line."""
    below = curve < left * curve[0]
    if not below.any():
        return 1.0
    i = int(np.argmax(below))
    step = (curve[i - 1] - left * curve[0]) / (curve[i - 1] - curve[i])
    return float(SHARES[i - 1] + step * (SHARES[i] - SHARES[i - 1]))


def levels(made: Schedule) -> list[Point]:
    """The noise levels at SHARES of the chain."""
    alpha, sigma = made.level(SHARES * (made.T - 1))
    return [Point(float(a), float(s)) for a, s in zip(alpha, sigma, strict=True)]


def falls(n: int, seed: int) -> dict[str, Fall]:
    """How each schedule destroys what is known of n samples of the mixture."""
    law, random = target(LAW), np.random.default_rng(seed)
    labels = np.arange(n) % law.classes
    x0, z = law.sample(n, seed, labels.tolist()), random.standard_normal((n, *law.shape))
    total = float(np.trace(law.covariance)) / law.size
    found = {}
    for name in NAMES:
        made = get_scheduler(name)
        bits, unknown = [], []
        for at in levels(made):
            x = at.alpha * x0 + at.sigma * z
            bits.append((law.log_density(x, at, labels) - law.log_density(x, at)) / log(2))
            unknown.append(np.square(x0 - law.x0(x, at)).reshape(n, -1).mean(axis=1) / total)
        lam = np.interp(SHARES * (made.T - 1), np.arange(made.T), made.lam)
        found[name] = Fall(np.stack(bits, axis=1), np.stack(unknown, axis=1), 2 * lam)
    return found
