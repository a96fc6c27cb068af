"""Mean and scatter of rows that come in blocks: each block's alone, merged in order. numpy only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dtool.errors import UsageError
from dtool.util.arrays import Array


@dataclass(frozen=True, eq=False)
class Moments:
    """Of `count` rows the mean `(d,)` and the scatter Σ (x - mean)(x - mean)ᵀ `(d, d)`, float64."""

    count: int
    mean: Array
    scatter: Array

    @classmethod
    def of(cls, rows: Array) -> Moments:
        """Those of rows `(n, d)`, n at least 1."""
        mean = rows.mean(axis=0)
        apart = rows - mean
        return cls(len(rows), mean, apart.T @ apart)

    def merge(self, other: Moments) -> Moments:
        """Those of both sets of rows together (Chan, Golub and LeVeque 1983, eq. 2.1), without cancellation."""
        count = self.count + other.count
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        scatter = self.scatter + other.scatter + np.outer(apart, apart) * (self.count * other.count / count)
        return Moments(count, mean, scatter)

    def fit_gaussian(self) -> tuple[Array, Array]:
        """Mean `(d,)` and unbiased covariance `(d, d)`; raises UsageError for a single row."""
        if self.count < 2:
            raise UsageError("one sample has no covariance", "give 2 or more (-n 2)")
        return self.mean, self.scatter / (self.count - 1)


def merge_moments(parts: Iterable[Moments]) -> Moments:
    """The moments of all parts, merged in their order, so that the bits are those of the order alone."""
    own = iter(parts)
    total = next(own)
    for part in own:
        total = total.merge(part)
    return total
