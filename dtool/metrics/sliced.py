"""The sliced Wasserstein distance: sorted projections, compared along many directions."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.metrics.definition import Engine, metric
from dtool.metrics.pool import Masks, Pool
from dtool.util.arrays import Array

ROWS = 2000  # of the reference, in `evaluate`
Count = Annotated[int, Field(gt=0, description="directions, drawn at random and always the same")]


def draw_directions(d: int, count: int) -> Array:
    """`count` unit vectors (d, count), uniform on the sphere, the same each time."""
    vectors = np.random.default_rng(0).standard_normal((d, count))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=0))


def sliced_distance(x: Array, y: Array) -> float:
    """√ of the mean over directions of W₂² in one dimension. x (n, L) and y (m, L) are projections, sorted by column.

    W₂² = ∫ (F⁻¹(q) - G⁻¹(q))² dq, whose integrand is constant between the multiples of 1/n and of 1/m.
    """
    n, m = len(x), len(y)
    if n == m:
        return float(np.sqrt(((x - y) ** 2).mean()))
    ends = np.unique(np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n]))  # over n·m
    share = np.diff(ends, prepend=0) / (n * m)
    i, j = (ends - 1) // m, (ends - 1) // n
    total = 0.0
    for first in range(0, x.shape[1], 32):
        part = slice(first, first + 32)
        total += float(share @ ((x[i, part] - y[j, part]) ** 2).sum(axis=1))
    return float(np.sqrt(total / x.shape[1]))


def _engine(pool: Pool, projections: int) -> Engine:
    """The projections are sorted once; a subset of a sorted list is sorted."""
    along = (pool.points @ draw_directions(pool.points.shape[1], projections)).T
    order = np.argsort(along, axis=1)
    along = np.take_along_axis(along, order, axis=1)

    def subset(mask: Masks) -> Array:
        return np.asarray(along[np.take(mask, order)].reshape(len(along), -1).T)

    def run(a: Masks, b: Masks) -> Array:
        return np.array(
            [sliced_distance(subset(one), subset(other)) for one, other in zip(*np.broadcast_arrays(a, b), strict=True)]
        )

    return run


@metric("sliced-w2", "sliced W2", most=ROWS, engine=_engine, cite="Bonneel et al. 2015, eq. 8")
def sliced_w2(samples: Array, reference: Array, *, projections: Count = 200) -> float:
    """The 2-Wasserstein distance of one-dimensional projections, root mean square over random directions.

    In units of the pixels. It falls as n grows, and is not 0 for two sets of one law: compare it with its null.
    """
    along = draw_directions(samples.shape[1], projections)
    return sliced_distance(np.sort(samples @ along, axis=0), np.sort(reference @ along, axis=0))
