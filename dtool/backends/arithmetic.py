"""What a step is made of: p·x + q·y; in general, and for numpy without allocating."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Arithmetic:
    """Sums of scaled arrays, on any backend."""

    def mix(self, p: float, x: Any, q: float, y: Any) -> Any:
        """p·x + q·y, in an array of its own."""
        total = p * x
        return total if q == 0 else self.add(total, q, y)

    def add(self, total: Any, q: float, y: Any) -> Any:
        """total + q·y; `total` came from `mix`, and is overwritten."""
        total += q * y
        return total

    def clip(self, values: Any, low: float, high: float) -> Any:
        """`values`, which came from `mix` and may be overwritten, within [low, high]."""
        return values.clip(low, high)

    def quantile(self, values: Any, share: float) -> Any:
        """The value below which `share` of each image's numbers lie, between neighbours linearly; `(B, 1, …)`."""
        flat = values.reshape(len(values), -1)
        ordered = np.sort(flat, axis=1) if isinstance(flat, np.ndarray) else flat.sort(dim=1).values
        place = share * (ordered.shape[1] - 1)
        low, high = ordered[:, int(place)], ordered[:, min(int(place) + 1, ordered.shape[1] - 1)]
        return (low + (place - int(place)) * (high - low)).reshape(-1, *[1] * (values.ndim - 1))

    def keep(self, values: Any) -> Any:
        """An array that later calls will not overwrite."""
        return values


class HostArithmetic(Arithmetic):
    """The same on numpy arrays like `like`, in arrays that are used again after `live` more calls of `mix`.

    A network call leaves the caches cold, and then allocating costs more than computing does.
    """

    def __init__(self, like: NDArray[Any], live: int) -> None:
        self._ring = [np.empty_like(like) for _ in range(live + 1)]
        self._scratch = np.empty_like(like)
        self._p, self._q = np.empty((), like.dtype), np.empty((), like.dtype)
        self._next = 0

    def mix(self, p: float, x: Any, q: float, y: Any) -> Any:
        """p·x + q·y, in the array that was used longest ago."""
        total = self._ring[self._next]
        self._next = (self._next + 1) % len(self._ring)
        self._p[()] = p
        np.multiply(x, self._p, out=total)
        if q != 0:
            self._q[()] = q
            np.multiply(y, self._q, out=self._scratch)
            np.add(total, self._scratch, out=total)
        return total

    def add(self, total: Any, q: float, y: Any) -> Any:
        """total + q·y, in place."""
        self._q[()] = q
        np.multiply(y, self._q, out=self._scratch)
        return np.add(total, self._scratch, out=total)

    def clip(self, values: Any, low: float, high: float) -> Any:
        """In place; two ufuncs cost a fraction of numpy's clip."""
        self._p[()], self._q[()] = low, high
        np.maximum(values, self._p, out=values)
        return np.minimum(values, self._q, out=values)

    def keep(self, values: Any) -> Any:
        """A copy."""
        return values.copy()
