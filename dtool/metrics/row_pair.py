"""Two sets of rows that are compared block by block, and what random halves of their blocks tell of a figure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from dtool.errors import UsageError
from dtool.measure.half_sampling import draw_halves
from dtool.metrics.pool import PAIRED, Masks, complete_squares, typical_distance
from dtool.metrics.row_blocks import RowBlocks
from dtool.util.arrays import Array

LEAST_BLOCKS = 8  # on either side: halves of fewer are too much alike for an interval
RESAMPLES, PERMUTATIONS, SPLITS = 200, 500, 100
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class StreamedFigure:
    """A metric's value over all rows; low, high: its 95 % interval; p and the null as in `Figure`, None if unknown."""

    value: float
    low: float
    high: float
    p: float | None = None
    null_mean: float | None = None
    null_sd: float | None = None


class RowPair:
    """Rows of samples and of real images, of one kind of features.

    Raises UsageError for rows of different widths, and for fewer than LEAST_BLOCKS blocks of either.
    """

    def __init__(self, samples: RowBlocks, reference: RowBlocks, seed: int = 0) -> None:
        for rows, whose in ((samples, "samples"), (reference, "real images")):
            if len(rows) < LEAST_BLOCKS:
                raise UsageError(
                    f"{rows.count} {whose} are too few to be compared block by block", "use dtool.metrics.evaluate"
                )
        if samples.width != reference.width:
            raise UsageError("the samples and the reference have different features", "compare images of one shape")
        self.samples, self.reference, self.seed = samples, reference, seed
        self._known: dict[Hashable, Any] = {}

    def recall(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` gives, computed once for all metrics that ask for `key`."""
        if key not in self._known:
            self._known[key] = compute()
        known: T = self._known[key]
        return known

    @functools.cached_property
    def scale(self) -> float:
        """The typical distance within the reference: the one that `Reference.scale` has of the same images."""
        count = self.reference.count
        order = np.random.default_rng(0).permutation(count) if count > PAIRED else np.arange(count)
        return typical_distance(self.reference.take(order[:PAIRED]))

    @functools.cached_property
    def centre(self) -> Array:
        """Where distances are computed from: the mean of the reference if its rows are far from 0, else 0."""
        sums, squares = 0.0, 0.0
        for i in range(len(self.reference)):
            rows = self.reference.read(i)
            sums, squares = sums + rows.sum(axis=0), squares + np.square(rows).sum(axis=0)
        mean = np.asarray(sums / self.reference.count)
        variance = float((squares / self.reference.count - mean**2).sum())
        return mean if float((mean**2).sum()) > 100 * variance else np.zeros_like(mean)

    def square_distances(self, x: Array, y: Array) -> Array:
        """The squares of the distances between rows `(n, d)` and `(m, d)`: `(n, m)`."""
        near, far = x - self.centre, y - self.centre
        total = np.einsum("nd,nd->n", near, near)[:, None] + np.einsum("nd,nd->n", far, far)
        return complete_squares(near @ far.T, total)

    def draw_halves(self, counts: tuple[int, int], times: int = RESAMPLES) -> tuple[Masks, Masks]:
        """`times` random halves of `counts` groups of the samples and of the reference, masks over each."""
        random = np.random.default_rng([self.seed, *counts])
        return tuple(draw_halves(random, 0, count, count, times) for count in counts)  # type: ignore[return-value]
