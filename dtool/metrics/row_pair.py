"""Two sets of rows that are compared block by block, and what random halves of their blocks tell of a figure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from dtool.errors import UsageError
from dtool.measure.half_sampling import draw_halves
from dtool.metrics.pool import PAIRED, Masks, complete_squares, typical_distance
from dtool.metrics.row_blocks import RowBlocks
from dtool.util.arrays import Array

LEAST_BLOCKS = 8  # on either side: halves of fewer are too much alike for an interval
RESAMPLES, PERMUTATIONS, SPLITS = 200, 500, 100
T = TypeVar("T")
P = TypeVar("P")
Side = Literal["samples", "reference"]
Share = Callable[[Callable[..., Any], Iterable[Any]], Iterator[Any]]  # a function and its places: the results


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
        self._share: Share | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What a worker is given: where the rows are, and what is known of all of them."""
        return {**vars(self), "_known": {}, "_share": None, "scale": self.scale, "centre": self.centre}

    def share(self, share: Share) -> None:
        """Let workers that have this pair do what `map` is asked for."""
        self._share = share

    def map(self, function: Callable[[RowPair, P], T], places: Iterable[P]) -> Iterator[T]:
        """`function(pair, place)` of each place, in their order: here, or by workers, with the same bits.

        function: of a module, or a partial of one.
        """
        if self._share is None:
            return (function(self, place) for place in places)
        return self._share(function, places)

    def get(self, side: Side) -> RowBlocks:
        """The rows of the samples, or of the reference."""
        return self.samples if side == "samples" else self.reference

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
