"""Images as few numbers: pixels averaged over cells, and the mean and covariance of those. numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.errors import UsageError
from dtool.networks.spec import PixelStatistics

Array = NDArray[np.float64]
SIDES = {1: 8}  # pooled side for images of one channel; 4 for others: 64 and 48 features


def default_grid(shape: tuple[int, ...]) -> tuple[int, int]:
    """The pooled size (rows, columns) for samples of `shape`, (C, H, W) or (H, W)."""
    channels, height, width = _image_shape(shape)
    side = SIDES.get(channels, 4)
    return min(side, height), min(side, width)


def pooled(samples: ArrayLike, grid: tuple[int, int]) -> Array:
    """Samples (n, [C,] H, W) as features (n, C·rows·columns), channel-major.

    Cell i of k covers the pixels ⌊iH/k⌋ … ⌈(i+1)H/k⌉ - 1, so that cells of unequal images overlap by a pixel.
    """
    values = np.asarray(samples, dtype=np.float64)
    n, shape = len(values), _image_shape(values.shape[1:])
    rows, columns = _averages(shape[1], grid[0]), _averages(shape[2], grid[1])
    return np.asarray((rows @ values.reshape(n, *shape) @ columns.T).reshape(n, -1))


def statistics(samples: ArrayLike, grid: tuple[int, int] | None = None) -> PixelStatistics:
    """Mean and covariance of the pooled pixels of at least two images, (n, [C,] H, W) in the network's data range."""
    values = np.asarray(samples)
    place = grid or default_grid(values.shape[1:])
    return described(place, [pooled(values[i : i + 1024], place) for i in range(0, len(values), 1024)])


def described(grid: tuple[int, int], parts: Sequence[Array]) -> PixelStatistics:
    """The statistics of images whose pooled pixels come in parts, (n, d) each."""
    features = np.concatenate(parts)
    mean, covariance = fitted(features)
    rows = tuple(tuple(row) for row in covariance.tolist())
    return PixelStatistics(grid=grid, count=len(features), mean=tuple(mean.tolist()), covariance=rows)


def fitted(features: Array) -> tuple[Array, Array]:
    """Mean (d,) and unbiased covariance (d, d) of features (n, d), n at least 2."""
    if len(features) < 2:
        raise UsageError("one image has no covariance", "use -n 2 or more")
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))


def _averages(size: int, cells: int) -> Array:
    """(cells, size): the matrix that averages `size` pixels into `cells`."""
    matrix = np.zeros((cells, size))
    for i in range(cells):
        first, last = i * size // cells, -(-(i + 1) * size // cells)
        matrix[i, first:last] = 1 / (last - first)
    return matrix


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) not in (2, 3):
        raise UsageError(f"samples of shape {shape} are no pictures", "the quality measure pools pixels: give none")
    channels = shape[0] if len(shape) == 3 else 1
    return int(channels), int(shape[-2]), int(shape[-1])
