"""Mixtures of Gaussians on a line: the one family whose probability-flow ODE is solved exactly at every level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from dtool.plan.point import CLEAN, Point
from dtool.util.arrays import Array

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


@dataclass(frozen=True)
class Mixture1D:
    """A mixture of Gaussians in one dimension: `weights` (they sum to 1), `means` and standard deviations `stds`.

    At a noise level x = α·x0 + σ·ε it is the mixture of N(α·m, V), V = α²·s² + σ². One component is the Gaussian, and
    one component with s = 0 a single image. Its probability-flow ODE is solved exactly by the monotone map between the
    laws at two levels (`transport`), so that errors are measured against no fine grid.
    """

    weights: tuple[float, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]

    def x0(self, x: Array, at: Point) -> Array:
        """E[x0 | x] at the level `at`: the output of the optimal x0 network; the shape of `x`."""
        off, scale = self._standardize(x, at)
        inner = self._m + at.alpha * self._s**2 / scale * off
        return np.asarray((self._posterior(off, scale) * inner).sum(axis=-1))

    def eps(self, x: Array, at: Point) -> Array:
        """E[ε | x] at the level `at`: the output of the optimal eps network, -σ times the score; the shape of `x`."""
        off, scale = self._standardize(x, at)
        return np.asarray((self._posterior(off, scale) * off * (at.sigma / scale)).sum(axis=-1))

    def std(self, at: Point) -> float:
        """The standard deviation of x at the level `at`."""
        variance = self._w @ (self._s**2 + self._m**2) - (self._w @ self._m) ** 2
        return float(np.hypot(at.alpha * np.sqrt(variance), at.sigma))

    def transport(self, x: Array, start: Point, to: Point) -> Array:
        """Where the probability-flow ODE takes `x` from the level `start` to the level `to`, to machine precision.

        The flow keeps order, so it maps quantile to quantile. The nearer tail is compared, which loses no digits;
        the equation is solved by bisection, and polished by Newton's method.
        """
        below = self._tail(x, start, 1.0) < 0.5
        tail = np.where(below, self._tail(x, start, 1.0), self._tail(x, start, -1.0))
        return self._solve(tail, np.where(below, 1.0, -1.0), to)

    def cdf(self, x: ArrayLike, at: Point = CLEAN) -> Array:
        """P(X ≤ x) at the level `at`; the shape of `x`."""
        return self._tail(np.asarray(x, dtype=np.float64), at, 1.0)

    def quantile(self, u: ArrayLike, at: Point = CLEAN) -> Array:
        """x with P(X ≤ x) = u at the level `at`, 0 < u < 1, to machine precision; where V > 0 for every component."""
        values = np.asarray(u, dtype=np.float64)
        below = values < 0.5
        return self._solve(np.where(below, values, 1 - values), np.where(below, 1.0, -1.0), at)

    def partial_expectation(self, x: ArrayLike, at: Point = CLEAN) -> Array:
        """E[X; X ≤ x] at the level `at`: Σ w_k (α·m_k Φ(z_k) - √V_k φ(z_k)), z_k = (x - α·m_k)/√V_k."""
        off, scale = self._standardize(np.asarray(x, dtype=np.float64), at)
        below = _erfc(-off / math.sqrt(2)) / 2
        return np.asarray(
            (at.alpha * self._m * below - scale * np.exp(-(off**2) / 2) / math.sqrt(2 * math.pi)) @ self._w
        )

    @property
    def second_moment(self) -> float:
        """E[X²] of the law itself."""
        return float(self._w @ (self._s**2 + self._m**2))

    @property
    def support(self) -> tuple[float, float]:
        """Places beyond which nothing of the law itself lies that a float64 can tell."""
        reach = 9 * max(self.stds)
        return min(self.means) - reach, max(self.means) + reach

    def _solve(self, wanted: Array, sign: Array, to: Point) -> Array:
        """x at which the tail on the side of `sign` is `wanted`."""
        reach = 12 * max(self.stds) * to.alpha + 12 * to.sigma
        low = np.full_like(wanted, to.alpha * min(self.means) - reach)
        high = np.full_like(wanted, to.alpha * max(self.means) + reach)
        for _ in range(28):
            middle = (low + high) / 2
            short = sign * (self._tail(middle, to, sign) - wanted) < 0
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        y = (low + high) / 2
        for _ in range(3):
            y = y - sign * (self._tail(y, to, sign) - wanted) / self._density(y, to)
        return y

    @cached_property
    def _w(self) -> Array:
        return np.array(self.weights)

    @cached_property
    def _m(self) -> Array:
        return np.array(self.means)

    @cached_property
    def _s(self) -> Array:
        return np.array(self.stds)

    def _standardize(self, x: Array, at: Point) -> tuple[Array, Array]:
        """(x in standard deviations from each component `(…, K)`, √V of each component `(K,)`)."""
        scale = np.sqrt((at.alpha * self._s) ** 2 + at.sigma**2)
        return (x[..., None] - at.alpha * self._m) / scale, scale

    def _posterior(self, off: Array, scale: Array) -> Array:
        """The posterior shares of the components at each x, `(…, K)`."""
        if scale.size == 1:
            return np.ones(1)
        log_share = np.log(self._w / scale) - off**2 / 2
        share = np.exp(log_share - log_share.max(axis=-1, keepdims=True))
        return np.asarray(share / share.sum(axis=-1, keepdims=True))

    def _tail(self, x: Array, at: Point, sign: Array | float) -> Array:
        """P(X ≤ x) where `sign` is 1, P(X > x) where it is -1."""
        off, _ = self._standardize(x, at)
        return np.asarray(_erfc(-np.asarray(sign)[..., None] * off / math.sqrt(2)) @ self._w / 2)

    def _density(self, x: Array, at: Point) -> Array:
        off, scale = self._standardize(x, at)
        return np.asarray((np.exp(-(off**2) / 2) / (scale * math.sqrt(2 * math.pi))) @ self._w)
