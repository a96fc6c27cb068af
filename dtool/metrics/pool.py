"""Points whose subsets are compared, for a metric, its interval, its null and its p-value alike."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.util.arrays import Array

Masks = NDArray[np.bool_]
Indices = NDArray[np.intp]
KEPT = 4096  # points whose distances are cached: 128 MiB
BLOCK = 1 << 22  # distances computed at a time otherwise: 32 MiB
PAIRED = 1000  # points that the median distance is computed from


class Pool:
    """N points, (N, d), float64 from here on, and the squares of the distances between them.

    `scale` is a distance that is typical of the reference: the median, see `typical_distance`.
    """

    def __init__(self, points: NDArray[Any], scale: float) -> None:
        self.points = np.asarray(points, dtype=np.float64).view()
        self.points.setflags(write=False)  # metrics share them
        self.scale = scale
        self._kept: Array | None = None

    def __len__(self) -> int:
        return len(self.points)

    def blocks(self, indices: Indices, width: int | None = None) -> Iterator[Indices]:
        """`indices` in pieces, each of which has a bounded number of distances to `width` points (default: all)."""
        size = max(1, BLOCK // max(1, width or len(self)))
        yield from (indices[i : i + size] for i in range(0, len(indices), size))

    def squared_distances(self, some: Indices, others: Indices | None = None) -> Array:
        """The squares of the distances between `some` points and `others` (default: all): (len(some), len(others))."""
        if len(self) > KEPT:
            return self._compute_squared(some, others)
        if self._kept is None:
            self._kept = np.empty((len(self), len(self)))
            for block in self.blocks(np.arange(len(self))):
                self._kept[block] = self._compute_squared(block, None)
        if others is None:
            return self._kept[some]
        return self._kept[np.ix_(some, others)]

    @functools.cached_property
    def _centred(self) -> Array:
        """The points; if they are far from 0, moved there: smaller numbers, whose differences lose less."""
        mean = self.points.mean(axis=0)
        some = self.points[:: max(1, len(self) // PAIRED)]
        near = (mean**2).sum() <= 100 * some.var(axis=0).sum()
        return self.points if near else np.asarray(self.points - mean)

    @functools.cached_property
    def _norms(self) -> Array:
        return np.asarray(np.einsum("nd,nd->n", self._centred, self._centred))

    def _compute_squared(self, some: Indices, others: Indices | None) -> Array:
        near, far = _to_index(some), slice(None) if others is None else _to_index(others)
        total = self._norms[near][:, None] + self._norms[far]
        return complete_squares(self._centred[near] @ self._centred[far].T, total)


def complete_squares(products: Array, total: Array) -> Array:
    """|x - y|² `(n, m)` of the products x·y and the sums |x|² + |y|², in the place of both."""
    products *= -2
    products += total
    total *= 1e-14  # rounding errors between equal points are no distance
    products[products <= total] = 0
    return products


def _to_index(indices: Indices) -> Indices | slice:
    """Consecutive indices as a slice, which copies nothing."""
    if len(indices) and indices[-1] - indices[0] + 1 == len(indices) and (np.diff(indices) == 1).all():
        return slice(int(indices[0]), int(indices[-1]) + 1)
    return indices


def typical_distance(points: NDArray[Any]) -> float:
    """The median distance between two of the points, from at most PAIRED of them; 0 only if all are equal.

    Where more than half of the distances are 0, the mean of the others.
    """
    if len(points) > PAIRED:
        points = points[np.random.default_rng(0).permutation(len(points))[:PAIRED]]
    some = Pool(points, 0.0)
    n = len(points)
    squares = some.squared_distances(np.arange(n))[np.triu_indices(n, 1)]
    if not squares.size or not squares.any():
        return 0.0
    median = float(np.sqrt(np.median(squares)))
    return median or float(np.sqrt(squares[squares > 0]).mean())
