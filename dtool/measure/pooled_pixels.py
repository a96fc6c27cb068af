"""Images as few numbers: pixels averaged over cells, their mean and covariance, and the Fréchet distance of those."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from dtool.errors import UsageError
from dtool.measure.frechet import fit_gaussian, frechet_distance, square_root
from dtool.measure.moments import Moments, merge_moments
from dtool.models.spec import PixelStatistics
from dtool.util.arrays import Array

BLOCK = 1024  # images whose features are in memory at a time
SIDES = {1: 8}  # pooled side for images of one channel; 4 for others: 64 and 48 features


def choose_grid(shape: tuple[int, ...]) -> tuple[int, int]:
    """The pooled size (rows, columns) for samples of `shape`, (C, H, W) or (H, W)."""
    channels, height, width = _check_image_shape(shape)
    side = SIDES.get(channels, 4)
    return min(side, height), min(side, width)


def pool_pixels(samples: ArrayLike, grid: tuple[int, int]) -> Array:
    """Samples (n, [C,] H, W) as features (n, C·rows·columns), channel-major.

    Cell i of k covers the pixels ⌊iH/k⌋ … ⌈(i+1)H/k⌉ - 1, so that cells of unequal images overlap by a pixel.
    """
    values = np.asarray(samples, dtype=np.float64)
    n, shape = len(values), _check_image_shape(values.shape[1:])
    rows, columns = _averaging_matrix(shape[1], grid[0]), _averaging_matrix(shape[2], grid[1])
    return np.asarray((rows @ values.reshape(n, *shape) @ columns.T).reshape(n, -1))


def statistics(samples: ArrayLike, grid: tuple[int, int] | None = None) -> PixelStatistics:
    """Mean and covariance of the pooled pixels of at least two images, (n, [C,] H, W) in the network's data range.

    >>> dtool.compare.statistics(np.zeros((5, 1, 8, 8)), grid=(2, 2)).mean
    (0.0, 0.0, 0.0, 0.0)
    """
    values = np.asarray(samples)
    place = grid or choose_grid(values.shape[1:])
    return merge_statistics(place, [pool_pixels(values[i : i + BLOCK], place) for i in range(0, len(values), BLOCK)])


def merge_statistics(grid: tuple[int, int], parts: Sequence[Array]) -> PixelStatistics:
    """The statistics of images whose pooled pixels come in parts, (n, d) each."""
    features = np.concatenate(parts)
    mean, covariance = fit_gaussian(features)
    rows = tuple(tuple(row) for row in covariance.tolist())
    return PixelStatistics(grid=grid, count=len(features), mean=tuple(mean.tolist()), covariance=rows)


def distance(samples: ArrayLike, reference: PixelStatistics) -> float:
    """The Fréchet distance of samples (n, [C,] H, W) to the images of which `reference` has the statistics.

    It falls as n grows, so compare figures of the same n only; `floors` tells the part due to n alone.

    >>> real = np.random.default_rng(0).uniform(-1, 1, (90, 1, 8, 8))
    >>> dtool.compare.distance(real, dtool.compare.statistics(real)) < 1e-9
    True
    """
    values, width = np.asarray(samples), len(reference.mean)
    blocks = (pool_pixels(values[i : i + BLOCK], reference.grid) for i in range(0, len(values), BLOCK))
    moments = merge_moments(Moments.of(_require_width(features, width)) for features in blocks)
    return frechet_distance(*moments.fit_gaussian(), np.array(reference.mean), np.array(reference.covariance))


def floors(reference: PixelStatistics, n: int, repeats: int = 16) -> Array:
    """Distances of n samples of the reference's own Gaussian, `(repeats,)`: the part of a figure due to n alone."""
    mean, covariance = np.array(reference.mean), np.array(reference.covariance)
    random = np.random.default_rng(0)
    root = square_root(covariance)
    sizes = [min(BLOCK, n - first) for first in range(0, n, BLOCK)]
    draws = (
        merge_moments(Moments.of(mean + random.standard_normal((size, mean.size)) @ root) for size in sizes)
        for _ in range(repeats)
    )
    return np.array([frechet_distance(*draw.fit_gaussian(), mean, covariance) for draw in draws])


def _require_width(features: Array, width: int) -> Array:
    """The features `(n, d)`; raises UsageError unless d is that of the reference."""
    if features.shape[1] != width:
        raise UsageError(
            f"the samples have {features.shape[1]} features, the reference {width}",
            "compare with images of the same shape",
        )
    return features


def _averaging_matrix(size: int, cells: int) -> Array:
    """(cells, size): the matrix that averages `size` pixels into `cells`."""
    matrix = np.zeros((cells, size))
    for i in range(cells):
        first, last = i * size // cells, -(-(i + 1) * size // cells)
        matrix[i, first:last] = 1 / (last - first)
    return matrix


def _check_image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) not in (2, 3):
        raise UsageError(
            f"samples of shape {shape} are no pictures", "the statistics are of pooled pixels: leave them out"
        )
    channels = shape[0] if len(shape) == 3 else 1
    return int(channels), int(shape[-2]), int(shape[-1])
