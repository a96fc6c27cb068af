"""Balls of k nearest neighbours of rows that are read block by block: who lies in whose."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.measure.half_sampling import draw_halves, recentred_interval
from dtool.metrics.row_blocks import BLOCK, sum_by_block
from dtool.metrics.row_pair import RESAMPLES, RowPair, Side, StreamedFigure
from dtool.util.arrays import Array


@dataclass(frozen=True)
class BallCounts:
    """In how many balls each point lies, `(points,)`, and how many points lie in each ball, `(balls,)`."""

    of_points: NDArray[np.integer]
    of_balls: NDArray[np.int64]


def find_radii(pair: RowPair, side: Side, k: int) -> Array:
    """The squared distance from each row to its k-th nearest other one, `(rows,)`."""
    rows = pair.get(side)
    if rows.count <= k:
        raise UsageError(f"{rows.count} images have no {k} nearest neighbours", f"give {k + 1} or more, or a smaller k")
    return np.concatenate(list(pair.map(partial(find_block_radii, side=side, k=k), range(len(rows)))))


def find_block_radii(pair: RowPair, block: int, side: Side, k: int) -> Array:
    """The radii of one block, `(block's rows,)`: the k + 1 least distances so far are kept from stripe to stripe."""
    rows = pair.get(side)
    x = rows.read(block)
    least = np.full((len(x), k + 1), np.inf)
    for _, y in rows.stripes():
        near = pair.square_distances(x, y)
        if near.shape[1] > k + 1:
            near = np.partition(near, k, axis=1)[:, : k + 1]
        least = np.partition(np.concatenate([least, near], axis=1), k, axis=1)[:, : k + 1]
    return np.asarray(least[:, k])


def count_in_balls(pair: RowPair, balls: Side, radii: Array, points: Side) -> BallCounts:
    """Of which balls, around the rows of `balls`, the rows of `points` are inside; the border belongs to a ball."""
    centres = pair.get(balls)
    of_points, of_balls = np.zeros(pair.get(points).count, np.int64), np.zeros(centres.count, np.int64)
    own = [slice(i * BLOCK, (i + 1) * BLOCK) for i in range(len(centres))]
    tasks = [(i, radii[own[i]]) for i in range(len(centres))]
    for i, counts in enumerate(pair.map(partial(count_in_block, balls=balls, points=points), tasks)):
        of_balls[own[i]] = counts.of_balls
        of_points += counts.of_points
    return BallCounts(of_points, of_balls)


def count_in_block(pair: RowPair, task: tuple[int, Array], balls: Side, points: Side) -> BallCounts:
    """The counts of the balls of one block, with their radii: of all points, few enough for eight bits each."""
    block, radii = task
    centres, rows = pair.get(balls).read(block), pair.get(points)
    of_points, of_balls = np.zeros(rows.count, np.uint8), np.zeros(len(centres), np.int64)
    for start, y in rows.stripes():
        inside = pair.square_distances(centres, y) <= radii[:, None]
        of_balls += inside.sum(axis=1)
        of_points[start * BLOCK : start * BLOCK + len(y)] = inside.sum(axis=0)
    return BallCounts(of_points, of_balls)


def stream_neighbours(pair: RowPair, name: str, k: int) -> StreamedFigure:
    """Density, precision, recall or coverage of all rows. The interval allows for the rows that are counted alone."""
    swapped = name == "recall"
    balls: Side = "samples" if swapped else "reference"
    points: Side = "reference" if swapped else "samples"

    def count() -> BallCounts:
        radii = find_radii(pair, balls, k)
        return count_in_balls(pair, balls, radii, points)

    counts = pair.recall(("balls", swapped, k), count)
    if name == "density":
        hits = counts.of_points / k
    else:
        hits = ((counts.of_balls if name == "coverage" else counts.of_points) > 0).astype(np.float64)
    low, high = mean_interval(hits, pair.seed, share=name != "density")
    return StreamedFigure(value=float(hits.mean()), low=low, high=high)


def mean_interval(values: Array, seed: int, *, share: bool) -> tuple[float, float]:
    """The 95 % interval of the mean of `values` `(n,)`, from random halves of their blocks; share: of 0 and 1."""
    sums = sum_by_block(values)
    sizes = np.minimum(BLOCK, len(values) - np.arange(len(sums)) * BLOCK)
    halves = draw_halves(np.random.default_rng([seed, len(values)]), 0, len(sums), len(sums), RESAMPLES)
    means = (halves @ sums) / (halves @ sizes)
    return recentred_interval(means, float(values.mean()), len(values) if share else None)
