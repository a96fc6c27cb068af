"""A network that predicts a variance too: its output has twice the channels, the second half for the noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dtool.plan.plan import Plan


class LearnedVariance:
    """A run's `predict` and `noise`, wrapped: the output's first half is the prediction, its second sizes the noise.

    Where the plan leaves the noise to the network, a row's c·z is c·(c_low/c)^((1-v)/2)·z with v the second half, which
    is improved DDPM's interpolation of log variances (arXiv:2102.09672, eq. 15). Elsewhere v is not looked at.
    """

    def __init__(self, plan: Plan, predict: Callable[[Any, Any], Any], noise: Iterator[Any], channels: int) -> None:
        """predict, noise: as the loop takes them (`dtool.backends.loop.run`)."""
        self._predict, self._noise, self._channels = predict, noise, channels
        rows = plan.c != 0
        self._ratios = iter((plan.c_low[rows] / plan.c[rows]).tolist())
        self._v: Any = None

    def predict(self, x: Any, t: Any) -> Any:
        """The prediction alone; the rest is kept for the row's noise."""
        output = self._predict(x, t)
        self._v = output[:, self._channels :]
        return output[:, : self._channels]

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """The row's noise c·z, scaled again number by number if its size is the network's to choose."""
        z, ratio = next(self._noise), next(self._ratios)
        return z if ratio == 1 else z * ratio ** ((1 - self._v) / 2)
