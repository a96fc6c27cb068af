"""The uniform law on a sphere: a surface with no density, whose network is a ratio of Bessel functions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log, pi

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.errors import UsageError
from dtool.plan.point import Point
from dtool.targets import wasserstein
from dtool.targets.bessel import bessel
from dtool.targets.closed_form import Target
from dtool.util.arrays import Array


class Sphere(Target):
    """x0 uniform on the sphere of radius R in d ≥ 2 dimensions.

    E[x0 | x] = R·I_{d/2}(k)/I_{d/2-1}(k)·x/|x| with k = α·R·|x|/σ²: the mean of a von Mises-Fisher law (Mardia and
    Jupp, Directional Statistics, 9.3.7).
    """

    has_exact_map = True

    def __init__(self, shape: tuple[int, ...], radius: float) -> None:
        super().__init__(shape)
        self.radius = radius

    @property
    def mean(self) -> Array:
        """The centre, `(d,)`."""
        return np.zeros(self.size)

    @property
    def covariance(self) -> Array:
        """R²/d·I, `(d, d)`."""
        return np.asarray(self.radius**2 / self.size * np.eye(self.size))

    def _predict(self, x: Array, alpha: Array, sigma: Array, label: NDArray[np.int64] | None) -> tuple[Array, Array]:
        del label  # there are no classes
        length = np.linalg.norm(x, axis=1)
        safe = np.where(sigma > 0, sigma, 1.0)
        pull = alpha * self.radius / safe**2
        share = pull * bessel(self.size / 2 - 1, pull * length)[0]
        share = np.where(sigma > 0, share, 1 / np.where(length > 0, length, 1.0))
        image = self.radius * share[:, None] * x
        noise = (x - alpha[:, None] * image) / safe[:, None]
        return image, np.where(sigma[:, None] > 0, noise, 0.0)

    def _draw(self, random: np.random.Generator, n: int, label: NDArray[np.int64] | None) -> Array:
        del label
        z = random.standard_normal((n, self.size))
        return np.asarray(self.radius * z / np.linalg.norm(z, axis=1, keepdims=True))

    def _log_density(self, x: Array, at: Point, label: NDArray[np.int64] | None) -> Array:
        """N(x; 0, σ²I) averaged over the sphere that its middle is on."""
        del label
        if at.sigma == 0:
            raise UsageError(f"{self.token} has no density without noise", "give a level with σ > 0")
        length, radius = np.linalg.norm(x, axis=1), at.alpha * self.radius
        averaged = bessel(self.size / 2 - 1, radius * length / at.sigma**2)[1]
        square = (length - radius) ** 2 / (2 * at.sigma**2)
        return np.asarray(averaged - square - self.size * log(2 * pi * at.sigma**2) / 2)

    def _transport(self, x: Array, start: Point, to: Point) -> Array:
        """By symmetry x keeps its direction, and its end is on the sphere."""
        del start
        if to.sigma > 0:
            raise UsageError(f"the ODE of {self.token} has a closed form only down to the image", "leave out to=")
        return np.asarray(to.alpha * self.radius * x / np.linalg.norm(x, axis=1, keepdims=True))

    def _w2(self, samples: Array) -> tuple[float, bool, str]:
        return self._sliced_w2(samples), False, self._sliced_w2.how

    @cached_property
    def _sliced_w2(self) -> wasserstein.SlicedW2:
        return wasserstein.SlicedW2(self.size, lambda _: SphereMarginal(self.size, self.radius))


@dataclass(frozen=True)
class SphereMarginal:
    """The law of one coordinate of a sphere's points: t = R·sin φ, φ with a density that goes as cos^{d-2} φ."""

    d: int
    radius: float

    @property
    def second_moment(self) -> float:
        """E[t²] = R²/d."""
        return self.radius**2 / self.d

    @property
    def support(self) -> tuple[float, float]:
        """±R."""
        return -self.radius, self.radius

    def cdf(self, x: ArrayLike) -> Array:
        """P(t ≤ x)."""
        whole = _cosine_integral(self.d - 2, np.array(pi / 2))
        return np.asarray((1 + _cosine_integral(self.d - 2, self._angle(x)) / whole) / 2)

    def partial_expectation(self, x: ArrayLike) -> Array:
        """E[t; t ≤ x] = -R·cos^{d-1} φ / ((d-1)·2∫cos^{d-2})."""
        whole = _cosine_integral(self.d - 2, np.array(pi / 2))
        return np.asarray(-self.radius * np.cos(self._angle(x)) ** (self.d - 1) / ((self.d - 1) * 2 * whole))

    def _angle(self, x: ArrayLike) -> Array:
        return np.asarray(np.arcsin(np.clip(np.asarray(x, dtype=np.float64) / self.radius, -1, 1)))


def _cosine_integral(power: int, angle: Array) -> Array:
    """∫ cos^power from 0 to `angle`, by parts."""
    value, first = (np.sin(angle), 1) if power % 2 else (angle, 0)
    for n in range(first + 2, power + 1, 2):
        value = np.cos(angle) ** (n - 1) * np.sin(angle) / n + (n - 1) / n * value
    return np.asarray(value)
