"""U-statistics of all pairs of points, from sums of the kernel over pairs of blocks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from dtool.measure.half_sampling import recentred_interval
from dtool.metrics.pool import Masks
from dtool.metrics.row_blocks import BLOCK, sum_by_block
from dtool.metrics.row_pair import PERMUTATIONS, SPLITS, RowPair, StreamedFigure
from dtool.util.arrays import Array

MASKS = 50  # that are combined at a time
# Of a pair, for its scale and distances, and rows (n, d) and (m, d): (n, m). A function of a module.
RowKernel = Callable[[RowPair, Array, Array], Array]


def stream_pairs(pair: RowPair, name: str, kernel: RowKernel) -> StreamedFigure:
    """E k(x, x') + E k(y, y') - 2 E k(x, y) over all distinct points, as `dtool.metrics.two_sample.u_statistic`.

    One pass over all pairs of blocks, whose sums are kept, `(blocks, blocks)`; memory does not grow with the rows but
    for that. Of the interval, the relabellings and the null, blocks are the units.
    """
    sums = pair.recall((name, "sums"), lambda: collect_sums(pair, kernel))
    sizes = np.concatenate([pair.samples.sizes, pair.reference.sizes]).astype(np.float64)
    first, total = len(pair.samples), len(sizes)
    a = np.arange(total)[None] < first
    value = float(combine_sums(sums, sizes, a, ~a)[0])
    mine, theirs = pair.draw_halves((first, total - first))
    low, high = recentred_interval(combine_sums(sums, sizes, *_place(mine, theirs)), value)
    random = np.random.default_rng([pair.seed, total, 1])
    relabelled = random.permuted(np.repeat(a, PERMUTATIONS, axis=0), axis=1)
    scores = combine_sums(sums, sizes, relabelled, ~relabelled)
    null = _measure_null(pair, sums, sizes)
    return StreamedFigure(
        value=value, low=low, high=high, p=float((1 + (scores >= value).sum()) / (1 + PERMUTATIONS)),
        null_mean=null[0], null_sd=null[1],
    )  # fmt: skip


def sum_block_row(pair: RowPair, row: int, kernel: RowKernel) -> Array:
    """Sums of the kernel between block `row` and every block from it on, `(blocks - row,)`: a function of ids alone.

    Blocks are counted through the samples, then through the reference. No point is a pair with itself.
    """
    first = len(pair.samples)
    in_samples = row < first
    own, place = (pair.samples, row) if in_samples else (pair.reference, row - first)
    x = own.read(place)
    sums: list[Array] = []
    for start, y in own.stripes(place):
        values = kernel(pair, x, y)
        if start == place:
            np.fill_diagonal(values[:, : len(x)], 0)
        sums.append(sum_by_block(values.sum(axis=0)))
    if in_samples:
        sums += [sum_by_block(kernel(pair, x, y).sum(axis=0)) for _, y in pair.reference.stripes()]
    return np.concatenate(sums)


def collect_sums(pair: RowPair, kernel: RowKernel) -> Array:
    """The sums of all pairs of blocks, symmetric `(blocks, blocks)`."""
    total = len(pair.samples) + len(pair.reference)
    sums = np.zeros((total, total))
    for row, values in enumerate(pair.map(partial(sum_block_row, kernel=kernel), range(total))):
        sums[row, row:] = sums[row:, row] = values
    return sums


def combine_sums(sums: Array, sizes: Array, a: Masks, b: Masks) -> Array:
    """The U-statistic of the blocks in `a` and those in `b`, masks (R, blocks): `(R,)`."""
    parts = [_combine(sums, sizes, a[i : i + MASKS], b[i : i + MASKS]) for i in range(0, len(a), MASKS)]
    return np.concatenate(parts)


def _combine(sums: Array, sizes: Array, a: Masks, b: Masks) -> Array:
    one, other = a.astype(np.float64), b.astype(np.float64)
    n, m = one @ sizes, other @ sizes
    left, right = one @ sums, other @ sums
    within, beyond, across = (left * one).sum(axis=1), (right * other).sum(axis=1), (left * other).sum(axis=1)
    return np.asarray(within / (n * (n - 1)) + beyond / (m * (m - 1)) - 2 * across / (n * m))


def _place(mine: Masks, theirs: Masks) -> tuple[Masks, Masks]:
    """Masks over the samples' blocks and over the reference's as masks over all."""
    return np.hstack([mine, np.zeros_like(theirs)]), np.hstack([np.zeros_like(mine), theirs])


def _measure_null(pair: RowPair, sums: Array, sizes: Array) -> tuple[float, float]:
    """Mean and standard deviation between halves of the reference, brought to the sizes that are compared."""
    first, blocks = len(pair.samples), len(pair.reference)
    half, random = blocks // 2, np.random.default_rng(0)
    orders = np.array([random.permutation(blocks) for _ in range(SPLITS)])
    one, other = (np.zeros((SPLITS, len(sizes)), dtype=bool) for _ in range(2))
    np.put_along_axis(one, first + orders[:, :half], True, axis=1)
    np.put_along_axis(other, first + orders[:, half : 2 * half], True, axis=1)
    values = combine_sums(sums, sizes, one, other)
    ratio = (1 / pair.samples.count + 1 / pair.reference.count) * half * BLOCK / 2
    return float(values.mean() * ratio), float(values.std(ddof=1) * ratio)
