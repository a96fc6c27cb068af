"""The Fréchet distance of rows that are read block by block, from sums and sums of products."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.measure.frechet import frechet_distance
from dtool.measure.half_sampling import recentred_interval
from dtool.measure.moments import Moments, merge_moments
from dtool.metrics.pool import Masks
from dtool.metrics.row_blocks import BLOCK, RowBlocks
from dtool.metrics.row_pair import LEAST_BLOCKS, RESAMPLES, RowPair, Side, StreamedFigure

GROUPS = 32  # of blocks, whose random halves give the interval
GROUP_BYTES = 1 << 28  # that the groups of one set may take: with many features there are fewer of them


def stream_frechet(pair: RowPair, parts: Sequence[int], rounds: int = RESAMPLES) -> StreamedFigure:
    """The distance at n, or extrapolated from that of `parts` to infinitely many: a of a + b/n, as `fd` has it.

    Moments are made of blocks and merged in id order, so that the bits do not depend on who made which.
    """
    mine = pair.recall("groups of samples", lambda: measure_groups(pair, "samples"))
    theirs = pair.recall("groups of the reference", lambda: measure_groups(pair, "reference"))
    if len(parts) == 1:
        value = compute_distance(merge_moments(mine), merge_moments(theirs))
    else:
        value = _extrapolate(pair, parts)
    halves = pair.draw_halves((len(mine), len(theirs)), rounds)
    spread = [compute_distance(_merge_some(mine, a), _merge_some(theirs, b)) for a, b in zip(*halves, strict=True)]
    low, high = recentred_interval(np.array(spread), value)
    return StreamedFigure(value=value, low=low, high=high)


def compute_distance(one: Moments, other: Moments) -> float:
    """The Fréchet distance of the Gaussians with these moments."""
    return frechet_distance(*one.fit_gaussian(), *other.fit_gaussian())


def measure_groups(pair: RowPair, side: Side) -> list[Moments]:
    """The moments of groups of neighbouring blocks, each merged block by block in id order."""
    rows = pair.get(side)
    groups = int(np.clip(GROUP_BYTES // (8 * rows.width**2), LEAST_BLOCKS, min(GROUPS, len(rows))))
    return list(pair.map(partial(measure_group, side=side), np.array_split(np.arange(len(rows)), groups)))


def measure_group(pair: RowPair, blocks: NDArray[np.intp], side: Side) -> Moments:
    """The moments of some blocks, merged in this order."""
    rows = pair.get(side)
    return merge_moments(Moments.of(rows.read(int(i))) for i in blocks)


def fit_to_infinity(parts: Sequence[int], distances: Sequence[float]) -> float:
    """a of a + b·k, fitted to the mean distances of k parts of all rows."""
    return float(np.polynomial.Polynomial.fit(parts, distances, 1).convert().coef[0])


def _extrapolate(pair: RowPair, parts: Sequence[int]) -> float:
    """As `extrapolated_distance` of the same rows: every row is, for all numbers of parts at once, in one of lcm."""
    random, least = np.random.default_rng(0), int(np.lcm.reduce(list(parts)))
    mine, theirs = (
        _measure_classes(rows, random.permutation(rows.count), least) for rows in (pair.samples, pair.reference)
    )
    means = []
    for k in parts:
        distances = [compute_distance(merge_moments(mine[i::k]), merge_moments(theirs[i::k])) for i in range(k)]
        means.append(float(np.mean(distances)))
    return fit_to_infinity(parts, means)


def _measure_classes(rows: RowBlocks, order: Any, classes: int) -> list[Moments]:
    """The moments of the rows order[c], order[c + classes], … for each class c."""
    own = np.empty(rows.count, np.int64)
    own[order] = np.arange(rows.count) % classes
    found: list[Moments | None] = [None] * classes
    for i in range(len(rows)):
        block, of = rows.read(i), own[i * BLOCK : (i + 1) * BLOCK]
        for c in range(classes):
            some = block[of == c]
            before = found[c]
            if len(some):
                found[c] = Moments.of(some) if before is None else before.merge(Moments.of(some))
    return [one for one in found if one is not None]


def _merge_some(groups: Sequence[Moments], chosen: Masks) -> Moments:
    return merge_moments(group for group, use in zip(groups, chosen, strict=True) if use)
