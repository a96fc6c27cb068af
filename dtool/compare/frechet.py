"""The Fréchet distance between Gaussians fitted to pooled pixels: a small, honest measure of quality. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dtool.data.pooled import Array, fitted, pooled
from dtool.errors import UsageError
from dtool.metrics.frechet import frechet, square_root
from dtool.networks.spec import PixelStatistics


def distance(samples: ArrayLike, reference: PixelStatistics) -> float:
    """The Fréchet distance of samples (n, [C,] H, W) to the images that `reference` was made of.

    It falls as n grows, so compare figures of the same n only; `floors` say what n alone is to blame for.
    """
    features = pooled(samples, reference.grid)
    if features.shape[1] != len(reference.mean):
        raise UsageError(
            f"the samples have {features.shape[1]} features, the reference {len(reference.mean)}",
            "compare with images of the same shape",
        )
    return frechet(*fitted(features), np.array(reference.mean), np.array(reference.covariance))


def floors(reference: PixelStatistics, n: int, repeats: int = 16) -> Array:
    """What n samples of the reference's own Gaussian score, `(repeats,)`: the part of a figure due to n alone."""
    mean, covariance = np.array(reference.mean), np.array(reference.covariance)
    random = np.random.default_rng(0)
    root = square_root(covariance)
    draws = (mean + random.standard_normal((n, mean.size)) @ root for _ in range(repeats))
    return np.array([frechet(*fitted(draw), mean, covariance) for draw in draws])
