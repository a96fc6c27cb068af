"""Mixtures of Gaussians in d dimensions, isotropic or not: one, many, and of no width at all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import log, pi

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.measure.frechet import fit_gaussian
from dtool.plan.point import Point
from dtool.targets import wasserstein
from dtool.targets.closed_form import Target
from dtool.targets.line import Mixture1D
from dtool.util.arrays import Array

_TINY = 1e-60  # the least variance that is divided by: σ = 0 on a law of points


class GaussianMixture(Target):
    """Σ w_k N(m_k, C_k), with C_k = rest_k·I + A_kᵀ (spread_k - rest_k) A_k.

    weights `(K,)`, means `(K, d)`; axes A_k `(K, r, d)` with orthonormal rows along which the variance is spread
    `(K, r)`, rest `(K,)` the variance across them. r = 0 is isotropic. At a noise level it is the mixture of
    N(α·m_k, α²C_k + σ²I), so that E[ε | x] is the sum of σ(α²C_k + σ²I)⁻¹(x - α·m_k) over the posterior shares.
    `of_class` `(K,)`: the class of each component.
    """

    def __init__(
        self, shape: tuple[int, ...], weights: Array, means: Array, rest: Array,
        axes: Array | None = None, spread: Array | None = None, of_class: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(shape)
        count = len(weights)
        self.weights = np.asarray(weights, dtype=np.float64) / np.sum(weights)
        self.means = np.asarray(means, dtype=np.float64).reshape(count, self.size)
        self.rest = np.asarray(rest, dtype=np.float64)
        self.axes = np.zeros((count, 0, self.size)) if axes is None else np.asarray(axes, dtype=np.float64)
        self.spread = np.zeros((count, 0)) if spread is None else np.asarray(spread, dtype=np.float64)
        self.of_class = None if of_class is None else np.asarray(of_class)
        self.classes = 0 if of_class is None else int(max(of_class)) + 1
        self.has_exact_map = self.size == 1 and bool((self.rest > 0).all())

    @property
    def mean(self) -> Array:
        """Σ w_k m_k, `(d,)`."""
        return np.asarray(self.weights @ self.means)

    @property
    def covariance(self) -> Array:
        """Σ w_k (C_k + m_k m_kᵀ) - m mᵀ, `(d, d)`."""
        along = self.weights[:, None] * (self.spread - self.rest[:, None])
        within = np.einsum("kr,kri,krj->ij", along, self.axes, self.axes)
        off = self.means - self.mean
        return np.asarray(within + (self.weights @ self.rest) * np.eye(self.size) + (self.weights * off.T) @ off)

    def project(self, way: Array) -> Mixture1D:
        """The law of ⟨way, x0⟩ for a unit vector `(d,)`: a mixture on a line."""
        along = ((self.axes @ way) ** 2 * (self.spread - self.rest[:, None])).sum(axis=1)
        stds = np.sqrt(self.rest * (way @ way) + along)
        return Mixture1D(*(tuple(map(float, part)) for part in (self.weights, self.means @ way, stds)))

    def _standardize(
        self, x: Array, alpha: Array, sigma: Array, label: NDArray[np.int64] | None
    ) -> tuple[Array, Array, Array, Array, Array]:
        """(log of the joint density `(K, B)`, x - α·m_k `(K, B, d)`, its place along the axes `(K, B, r)`, V, V_r)."""
        off = x - alpha[:, None] * self.means[:, None, :]
        along = np.matmul(off, self.axes.transpose(0, 2, 1))
        across = np.maximum(alpha**2 * self.rest[:, None] + sigma**2, _TINY)
        own = np.maximum(alpha[:, None] ** 2 * self.spread[:, None, :] + sigma[:, None] ** 2, _TINY)
        left = np.maximum((off**2).sum(axis=-1) - (along**2).sum(axis=-1), 0.0)
        rank = self.axes.shape[1]
        square = (along**2 / own).sum(axis=-1)
        volume = np.log(own).sum(axis=-1)
        if rank < self.size:
            square = square + left / across
            volume = volume + (self.size - rank) * np.log(across)
        joint = np.log(self.weights)[:, None] - (square + volume + self.size * log(2 * pi)) / 2
        if label is not None and self.of_class is not None:
            mine = (label == self.of_class[:, None]) | (label == self.classes)
            share = np.where(mine, self.weights[:, None], 0.0).sum(axis=0)
            joint = np.where(mine, joint - np.log(share), -np.inf)
        return joint, off, along, across, own

    def _predict(self, x: Array, alpha: Array, sigma: Array, label: NDArray[np.int64] | None) -> tuple[Array, Array]:
        joint, off, along, across, own = self._standardize(x, alpha, sigma, label)
        share = np.exp(joint - joint.max(axis=0))
        share /= share.sum(axis=0)
        # V⁻¹(x - α·m) and C V⁻¹(x - α·m), each as a part of x - α·m and a part along the axes
        inverse = off / across[..., None] + np.matmul(along * (1 / own - 1 / across[..., None]), self.axes)
        rest = self.rest[:, None, None]
        gain = rest / across[..., None]
        shrunk = gain * off + np.matmul(along * (self.spread[:, None, :] / own - gain), self.axes)
        image = self.means[:, None, :] + alpha[:, None] * shrunk
        noise = sigma[:, None] * (share[..., None] * inverse).sum(axis=0)
        return (share[..., None] * image).sum(axis=0), noise

    def _log_density(self, x: Array, at: Point, label: NDArray[np.int64] | None) -> Array:
        if at.sigma == 0 and ((self.rest == 0).any() or (self.spread == 0).any()):
            raise UsageError(f"{self.token} has no density without noise", "give a level with σ > 0")
        level = np.full(len(x), at.alpha), np.full(len(x), at.sigma)
        joint = self._standardize(x, *level, label)[0]
        most = joint.max(axis=0)
        return np.asarray(most + np.log(np.exp(joint - most).sum(axis=0)))

    def _draw(self, random: np.random.Generator, n: int, label: NDArray[np.int64] | None) -> Array:
        chances = np.broadcast_to(self.weights[:, None], (len(self.weights), n))
        if label is not None and self.of_class is not None:
            chances = chances * ((label == self.of_class[:, None]) | (label == self.classes))
        steps = np.cumsum(chances, axis=0)
        which = (random.random(n) * steps[-1] >= steps).sum(axis=0)
        z = random.standard_normal((n, self.size))
        along = np.einsum("nrd,nd->nr", self.axes[which], z)
        rest = np.sqrt(self.rest[which])[:, None]
        bent = np.einsum("nrd,nr->nd", self.axes[which], along * (np.sqrt(self.spread[which]) - rest))
        return np.asarray(self.means[which] + rest * z + bent)

    def _transport(self, x: Array, start: Point, to: Point) -> Array:
        return self.project(np.ones(1)).transport(x, start, to)

    def _w2(self, samples: Array) -> tuple[float, bool, str]:
        if self.size == 1:
            law = self.project(np.ones(1))
            return wasserstein.line_w2(samples, law), True, "quantile to quantile, exact"
        return self._sliced_w2(samples), False, self._sliced_w2.how

    @cached_property
    def _sliced_w2(self) -> wasserstein.SlicedW2:
        return wasserstein.SlicedW2(self.size, self.project)


class Gaussian(GaussianMixture):
    """N(mean·1, C): `variances` `(d,)` along the rows of `axes` `(d, d)`."""

    def __init__(self, shape: tuple[int, ...], mean: float, variances: Array, axes: Array) -> None:
        d = len(variances)
        super().__init__(
            shape, np.ones(1), np.full((1, d), mean), np.array([float(np.mean(variances))]), axes[None], variances[None]
        )
        self.has_exact_map = True

    def _transport(self, x: Array, start: Point, to: Point) -> Array:
        """Along each axis x - α·m in units of its standard deviation stays what it is."""
        axes, own = self.axes[0], self.spread[0]
        growth = np.sqrt((to.alpha**2 * own + to.sigma**2) / (start.alpha**2 * own + start.sigma**2))
        return np.asarray(to.alpha * self.mean + ((x - start.alpha * self.mean) @ axes.T * growth) @ axes)

    def _w2(self, samples: Array) -> tuple[float, bool, str]:
        if self.size == 1:
            return super()._w2(samples)
        value = wasserstein.gaussian_w2(*fit_gaussian(samples), self.mean, self.covariance)
        how = "of the Gaussian with the samples' mean and covariance: exact if they are Gaussian, or else W2 is more"
        return value, False, how


class TwoDiracs(GaussianMixture):
    """The points -at·1 and at·1, the second of weight `share`."""

    def __init__(self, shape: tuple[int, ...], at: float, share: float) -> None:
        d = int(np.prod(shape))
        super().__init__(shape, np.array([1 - share, share]), np.stack([np.full(d, -at), np.full(d, at)]), np.zeros(2))
        self.has_exact_map = True

    def _predict(self, x: Array, alpha: Array, sigma: Array, label: NDArray[np.int64] | None) -> tuple[Array, Array]:
        """ε from x0: where σ = 0, x is a point of the law, and has no noise in it."""
        image = super()._predict(x, alpha, sigma, label)[0]
        noise = (x - alpha[:, None] * image) / np.where(sigma > 0, sigma, 1.0)[:, None]
        return image, np.where(sigma[:, None] > 0, noise, 0.0)

    def _transport(self, x: Array, start: Point, to: Point) -> Array:
        """Along the line through both points quantile to quantile; across it, all is noise, and x/σ stays."""
        way = np.full(self.size, self.size**-0.5)
        law = self.project(way)
        place = x @ way
        across = x - place[:, None] * way
        if to.sigma > 0:
            return np.asarray(law.transport(place, start, to)[:, None] * way + to.sigma / start.sigma * across)
        upper = law.cdf(place, start) > self.weights[0]
        return np.asarray(to.alpha * self.means[upper.astype(int)])

    def _w2(self, samples: Array) -> tuple[float, bool, str]:
        value = wasserstein.two_point_w2(samples, self.means, float(self.weights[1]))
        return value, True, "each sample to the point that the best coupling gives it, exact"
