"""MMD² and the energy distance: unbiased U-statistics of a kernel, with every pair of points counted once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dtool.errors import UsageError
from dtool.metrics.definition import Engine, metric
from dtool.metrics.pool import Indices, Masks, Pool, typical_distance
from dtool.metrics.row_pair import RowPair, StreamedFigure
from dtool.metrics.stream_pairs import stream_pairs
from dtool.util.arrays import Array

ROWS = 2000  # per side, in `evaluate`
# what all unbiased metrics of pairs of points have in common
PAIR_FACTS: dict[str, Any] = {"unbiased": True, "most": ROWS, "matched": False, "permutation": True, "minimum": 4}
Kernel = Callable[[Indices], Array]  # the rows of the kernel's matrix at these indices: (len, N)


def u_statistic(pool: Pool, kernel: Kernel) -> Engine:
    """E k(x, x') + E k(y, y') - 2 E k(x, y) over distinct points of two subsets: (Gretton et al. 2012, eq. 3).

    Its mean is the same for any n, m ≥ 2, and 0 where x and y have one law.
    """

    def run(a: Masks, b: Masks) -> Array:
        one, other = a.astype(np.float64), b.astype(np.float64)
        opposite = (a ^ b).all(axis=1) if a.shape == b.shape else np.zeros(len(b), dtype=bool)
        within, across, beyond = np.zeros(len(one)), np.zeros(max(len(one), len(other))), np.zeros(len(other))
        for block in pool.blocks(np.arange(len(pool))):
            values = kernel(block)
            values[np.arange(len(block)), block] = 0  # no point is a pair with itself
            to_one, to_other = values @ one.T, np.empty((len(block), len(other)))
            to_other[:, ~opposite] = values @ other[~opposite].T
            if opposite.any():
                to_other[:, opposite] = values.sum(axis=1, keepdims=True) - to_one[:, opposite]
            within += np.einsum("rb,br->r", one[:, block], to_one)
            beyond += np.einsum("rb,br->r", other[:, block], to_other)
            across += np.einsum("br,br->r", *np.broadcast_arrays(one[:, block].T, to_other))
        n, m = one.sum(axis=1), other.sum(axis=1)
        return np.asarray(within / (n * (n - 1)) + beyond / (m * (m - 1)) - 2 * across / (n * m))

    return run


def gaussian_kernel(pool: Pool) -> Kernel:
    """Σ exp(-|x - y|² / 2s²) / 3 over the bandwidths s = 1/2, 1 and 2 times the reference's median distance."""
    _require_scale(pool.scale)
    return lambda some: _mix_gaussians(pool.squared_distances(some), pool.scale)


def _require_scale(scale: float) -> None:
    if scale <= 0:
        raise UsageError(
            "the reference's images are all the same, so that there is no scale of distance", "give different images"
        )


def _mix_gaussians(squares: Array, scale: float) -> Array:
    widest = np.exp(squares * (-0.125 / scale**2))
    middle = np.square(np.square(widest))
    return np.asarray((widest + middle + np.square(np.square(middle))) / 3)


def cubic_kernel(pool: Pool) -> Kernel:
    """(x·y / d + 1)³, the kernel of KID (Bińkowski et al. 2018)."""
    return lambda some: cubic_products(pool.points[some], pool.points)


def cubic_products(x: Array, y: Array) -> Array:
    """(x·y / d + 1)³ of rows `(n, d)` and `(m, d)`: `(n, m)`."""
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)


def pool_pair(samples: Array, reference: Array) -> tuple[Pool, Masks, Masks]:
    """Both sets as one pool, and the masks (1, n + m) that tell them apart."""
    first = np.arange(len(samples) + len(reference))[None] < len(samples)
    return Pool(np.concatenate([samples, reference]), typical_distance(reference)), first, ~first


def _mmd(pool: Pool) -> Engine:
    return u_statistic(pool, gaussian_kernel(pool))


def _energy(pool: Pool) -> Engine:
    return u_statistic(pool, lambda some: -np.sqrt(pool.squared_distances(some)))


def _stream_mmd(pair: RowPair) -> StreamedFigure:
    _require_scale(pair.scale)
    return stream_pairs(pair, "mmd", _mix_pair)


def _mix_pair(pair: RowPair, x: Array, y: Array) -> Array:
    return _mix_gaussians(pair.square_distances(x, y), pair.scale)


def _stream_energy(pair: RowPair) -> StreamedFigure:
    return stream_pairs(pair, "energy", _negate_distances)


def _negate_distances(pair: RowPair, x: Array, y: Array) -> Array:
    return np.asarray(-np.sqrt(pair.square_distances(x, y)))


@metric(
    "mmd", "MMD² (RBF)", headline=True, engine=_mmd, stream=_stream_mmd, cite="Gretton et al. 2012, eq. 3", **PAIR_FACTS
)
def mmd(samples: Array, reference: Array) -> float:
    """Squared maximum mean discrepancy with a Gaussian kernel, unbiased: 0 on average where the two laws are one.

    The kernel is the mean of three, whose bandwidths are 1/2, 1 and 2 times the median distance within the reference.
    They depend on the reference alone, so that samples of several recipes are measured alike. It may be negative. It
    sees small changes of the whole law: on small images, noise, contrast and blends alike.
    """
    pool, a, b = pool_pair(samples, reference)
    return float(_mmd(pool)(a, b)[0])


@metric("energy", "energy distance", engine=_energy, stream=_stream_energy, cite="Székely and Rizzo 2004", **PAIR_FACTS)
def energy(samples: Array, reference: Array) -> float:
    """2 E|x - y| - E|x - x'| - E|y - y'|, unbiased: 0 on average where the two laws are one, and only there.

    Every pair of distinct points counts once, so that the mean does not depend on n. It may be negative. No bandwidth.
    """
    pool, a, b = pool_pair(samples, reference)
    return float(_energy(pool)(a, b)[0])
